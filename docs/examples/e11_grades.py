"""
Grades are not numbers
======================

The same voters of 1996 placed themselves on a scale of seven points from strong Democrat to strong
Republican. A regression on 1 to 7 takes the steps for equal. Cumulative logits take their order alone.
"""

from moestro import MoEClassifier, load_dataset
from moestro.plots import ExpertDisplay

voters = load_dataset("voters").to_frame("pandas")
print(voters.party7.value_counts().to_string())

# %%
# Three classes in their order; numbers would be in theirs, text needs ``levels``.

formula = "party ~ left_right + income | education"
levels = ["Democrat", "Independent", "Republican"]
ordinal = {
    k: MoEClassifier.from_formula(
        formula, voters, family="ordinal", levels=levels, n_experts=k, random_state=0
    )
    for k in (1, 2)
}
multinomial = MoEClassifier.from_formula(formula, voters, n_experts=1, random_state=0)
for name, fit in (("multinomial", multinomial), ("ordinal", ordinal[1]), ("two ordinal groups", ordinal[2])):
    print(f"{name:19s} parameters {fit.n_parameters_:2d}   BIC {fit.bic_:7.1f}   {fit.status_.kind}")

# %%

print(ordinal[1].summary())

# %%

_ = ExpertDisplay.from_estimator(ordinal[1], term="left_right")

# %%
# **What to report.** The slope on the scale of log odds, which is one for all thresholds, and the check
# against the multinomial model, which has one for each class.
#
# **What not to believe.** A second group because its likelihood is higher: look at BIC.
