// Preloaded: operator new fails at the n-th call after `arm(n)`, once, in whichever thread.
#include <atomic>
#include <cstdlib>
#include <new>

static std::atomic<long> left{-1};

extern "C" void arm(long n) { left.store(n); }
extern "C" int disarm() { return left.exchange(-1) < 0; }  // whether it failed

static void* get(std::size_t size, std::size_t alignment) {
    if (left.load() >= 0 && left.fetch_sub(1) == 0) throw std::bad_alloc();
    void* p = nullptr;
    if (posix_memalign(&p, alignment, size ? size : 1) != 0) throw std::bad_alloc();
    return p;
}

void* operator new(std::size_t size) { return get(size, 16); }
void* operator new[](std::size_t size) { return get(size, 16); }
void* operator new(std::size_t size, std::align_val_t a) { return get(size, std::size_t(a)); }
void* operator new[](std::size_t size, std::align_val_t a) { return get(size, std::size_t(a)); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
