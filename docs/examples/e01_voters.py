"""
Which voters weigh ideology how?
================================

The American National Election Study of 1996 asked 944 people for their party and for their place between left
and right. One multinomial logit says that a step to the right counts the same for everybody. Are there groups
of voters for whom it does not, and who belongs to which?
"""

from moestro import MoEClassifier, load_dataset
from moestro.plots import ExpertDisplay, GateDisplay

voters = load_dataset("voters")
moe = MoEClassifier.from_formula(
    "party ~ left_right | income + age + education", voters, n_experts="bic", max_experts=4, random_state=0
)
moe.selection_

# %%
# The experts' part stands before the bar, the gate's behind it: income, age and education say who belongs to
# which group, the place between left and right says how a group votes. BIC takes two groups. ``found`` counts
# how often the best optimum was reached; where it is 1 the fit is not to be relied on.

print(moe.summary())

# %%
# What each group does with a place between left and right, and how the weights change with income:

_ = ExpertDisplay.from_estimator(moe, term="left_right")

# %%

_ = GateDisplay.from_estimator(moe, term="income")

# %%
# Slopes are log odds. What a step to the right does to the probabilities themselves, averaged over the
# voters:

moe.margins(voters, of="mixture")

# %%
# **What to report.** Two groups. In the one whose weight grows as income falls, a step to the right
# multiplies the odds of Democrat against Republican by exp(-1.17), in the other by exp(-2.06). BIC is
# 1,675, against 1,696 with one group. The best optimum was found in every run.
#
# **What not to believe.** Who a single voter is: the entropy R² is 0.52, and with one answer a person the
# groups overlap. The interval of the first share reaches from 0.38 to 0.70. Three groups are not refuted:
# their likelihood is higher, and BIC weighs eight more parameters against it.
