//! Vector instructions on eight numbers at once: the native engine's only unsafe code.
//!
//! A kernel is written once, generic over [`Lanes`]. [`kernel!`](kernel) compiles it for AVX2 and for any processor,
//! and chooses between the two at run time. AVX-512 was tried, and was no faster on the CPU of `docs/performance.md`.

/// Numbers per vector.
pub(super) const LANES: usize = 8;

/// Eight `f32`.
pub(super) trait Lanes: Copy {
    fn splat(value: f32) -> Self;
    fn load(values: &[f32; LANES]) -> Self;
    fn store(self, values: &mut [f32; LANES]);
    /// `self × factor + summand`
    fn mul_add(self, factor: Self, summand: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn max(self, other: Self) -> Self;
    /// Keeps the lanes whose `gate` is above 0 and sets the others to 0.
    fn where_positive(self, gate: Self) -> Self;
    /// Keeps the lanes in which `a` equals `b` and sets the others to 0.
    fn where_equal(self, a: Self, b: Self) -> Self;
    /// Adds each lane to its total.
    fn add_to(self, totals: &mut [f64; LANES]);
}

/// Lanes for any processor.
#[derive(Clone, Copy)]
pub(super) struct Plain([f32; LANES]);

impl Plain {
    #[inline(always)]
    fn each(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|lane| f(self.0[lane], other.0[lane])))
    }
}

impl Lanes for Plain {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; LANES])
    }
    #[inline(always)]
    fn load(values: &[f32; LANES]) -> Self {
        Self(*values)
    }
    #[inline(always)]
    fn store(self, values: &mut [f32; LANES]) {
        *values = self.0;
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, summand: Self) -> Self {
        // Not `f32::mul_add`: without an FMA instruction it would call into libm.
        self.each(factor, |a, b| a * b).add(summand)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.each(other, |a, b| a * b)
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.each(other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.each(other, |a, b| a - b)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.each(other, f32::max)
    }
    #[inline(always)]
    fn where_positive(self, gate: Self) -> Self {
        self.each(gate, |value, gate| if gate > 0.0 { value } else { 0.0 })
    }
    #[inline(always)]
    fn where_equal(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|lane| if a.0[lane] == b.0[lane] { self.0[lane] } else { 0.0 }))
    }
    #[inline(always)]
    fn add_to(self, totals: &mut [f64; LANES]) {
        totals.iter_mut().zip(self.0).for_each(|(total, more)| *total += f64::from(more));
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![expect(unsafe_code, reason = "intrinsics; kernels check the processor before they use them")]

    use std::arch::x86_64::{
        __m256, _CMP_EQ_OQ, _CMP_GT_OQ, _mm256_add_pd, _mm256_add_ps, _mm256_and_ps,
        _mm256_castps256_ps128, _mm256_cmp_ps, _mm256_cvtps_pd, _mm256_extractf128_ps,
        _mm256_fmadd_ps, _mm256_loadu_pd, _mm256_loadu_ps, _mm256_max_ps, _mm256_mul_ps,
        _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_pd, _mm256_storeu_ps, _mm256_sub_ps,
    };
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::{LANES, Lanes};

    static AVX2: AtomicU8 = AtomicU8::new(UNKNOWN);
    const UNKNOWN: u8 = 0;
    const ABSENT: u8 = 1;
    const FOUND: u8 = 2;

    /// Whether kernels may use AVX2 and FMA: the processor has both, and the environment does not set
    /// `BLAZETUNE_KERNELS=plain`. Tests set it to run the code for other processors.
    #[inline(always)]
    pub(crate) fn has_avx2() -> bool {
        // Kernels call this once per row of pixels: a `LazyLock` here would make inference 5 % slower.
        match AVX2.load(Ordering::Relaxed) {
            UNKNOWN => find_avx2(),
            found => found == FOUND,
        }
    }

    #[cold]
    fn find_avx2() -> bool {
        let is_plain = std::env::var_os("BLAZETUNE_KERNELS").is_some_and(|kind| kind == "plain");
        let found =
            !is_plain && is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        AVX2.store(if found { FOUND } else { ABSENT }, Ordering::Relaxed);
        found
    }

    /// Lanes for AVX2 and FMA.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx(__m256);

    // SAFETY, for every block below: `kernel!` uses this type only in functions that it calls after detecting
    // AVX2 and FMA. Loads and stores cover whole arrays.
    impl Lanes for Avx {
        #[inline(always)]
        fn splat(value: f32) -> Self {
            Self(unsafe { _mm256_set1_ps(value) })
        }
        #[inline(always)]
        fn load(values: &[f32; LANES]) -> Self {
            Self(unsafe { _mm256_loadu_ps(values.as_ptr()) })
        }
        #[inline(always)]
        fn store(self, values: &mut [f32; LANES]) {
            unsafe { _mm256_storeu_ps(values.as_mut_ptr(), self.0) }
        }
        #[inline(always)]
        fn mul_add(self, factor: Self, summand: Self) -> Self {
            Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, summand.0) })
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            Self(unsafe { _mm256_mul_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            Self(unsafe { _mm256_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            Self(unsafe { _mm256_sub_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            Self(unsafe { _mm256_max_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn where_positive(self, gate: Self) -> Self {
            Self(unsafe {
                let positive = _mm256_cmp_ps::<_CMP_GT_OQ>(gate.0, _mm256_setzero_ps());
                _mm256_and_ps(self.0, positive)
            })
        }
        #[inline(always)]
        fn where_equal(self, a: Self, b: Self) -> Self {
            Self(unsafe { _mm256_and_ps(self.0, _mm256_cmp_ps::<_CMP_EQ_OQ>(a.0, b.0)) })
        }
        #[inline(always)]
        fn add_to(self, totals: &mut [f64; LANES]) {
            unsafe {
                let halves = [_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0)];
                let (totals, _) = totals.as_chunks_mut::<4>();
                for (total, half) in totals.iter_mut().zip(halves) {
                    let sum = _mm256_add_pd(_mm256_loadu_pd(total.as_ptr()), _mm256_cvtps_pd(half));
                    _mm256_storeu_pd(total.as_mut_ptr(), sum);
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx, has_avx2};

/// Defines a function that runs `body::<L>` with the best available [`Lanes`] `L`:
/// `kernel! { pub(super) fn name(arguments) = body; }`. `body` should be `#[inline(always)]`.
macro_rules! kernel {
    ($(#[$doc:meta])* $visibility:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) = $body:ident;) => {
        $(#[$doc])*
        $visibility fn $name($($arg: $type),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $type),*) {
                    $body::<$crate::model::native::simd::Avx>($($arg),*);
                }
                if $crate::model::native::simd::has_avx2() {
                    #[expect(unsafe_code, reason = "the processor was checked")]
                    // SAFETY: the processor has the enabled instructions.
                    return unsafe { avx2($($arg),*) };
                }
            }
            $body::<$crate::model::native::simd::Plain>($($arg),*);
        }
    };
}
pub(super) use kernel;
