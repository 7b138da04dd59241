//! Eight numbers at once, with what the processor has: the only unsafe code of the engine.
//!
//! A kernel is written once, over [`Lanes`]; [`kernel!`](kernel) compiles it for AVX-512's registers, for AVX2, and
//! for any processor, and picks one of them when it is called.

/// Numbers a vector.
pub(super) const LANES: usize = 8;

/// Eight `f32`.
pub(super) trait Lanes: Copy {
    /// Rows of a matrix tile whose accumulators fit the registers, three vectors wide.
    const TILE_ROWS: usize;

    fn splat(value: f32) -> Self;
    fn load(values: &[f32; LANES]) -> Self;
    fn store(self, values: &mut [f32; LANES]);
    /// `self × factor + summand`
    fn mul_add(self, factor: Self, summand: Self) -> Self;
    fn add(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn max(self, other: Self) -> Self;
    /// `self` where `gate` is above 0, else 0.
    fn where_positive(self, gate: Self) -> Self;
}

/// For any processor.
#[derive(Clone, Copy)]
pub(super) struct Plain([f32; LANES]);

impl Plain {
    #[inline(always)]
    fn each(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|lane| f(self.0[lane], other.0[lane])))
    }
}

impl Lanes for Plain {
    const TILE_ROWS: usize = 4;

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
        // Not `f32::mul_add`, a call into libm where the processor has no such instruction.
        self.mul(factor).add(summand)
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.each(other, |a, b| a + b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.each(other, |a, b| a * b)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.each(other, f32::max)
    }
    #[inline(always)]
    fn where_positive(self, gate: Self) -> Self {
        self.each(gate, |value, gate| if gate > 0.0 { value } else { 0.0 })
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #![expect(unsafe_code, reason = "intrinsics; only kernels that checked the processor get here")]

    use std::arch::x86_64::*;

    use super::{LANES, Lanes};

    /// AVX2 and FMA, and 16 or 32 registers of eight.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx<const TILE_ROWS: usize>(__m256);

    // SAFETY, of all below: `kernel!` names this type only in functions that it calls after it has found
    // AVX2 and FMA. Loads and stores are of whole arrays.
    impl<const ROWS: usize> Lanes for Avx<ROWS> {
        const TILE_ROWS: usize = ROWS;

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
        fn add(self, other: Self) -> Self {
            Self(unsafe { _mm256_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            Self(unsafe { _mm256_mul_ps(self.0, other.0) })
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
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::Avx;

/// `kernel! { pub(super) fn name(arguments) = body; }`: a function that runs `body::<L>` with the best [`Lanes`] `L`
/// there are. `body` is to be `#[inline(always)]`.
macro_rules! kernel {
    ($(#[$doc:meta])* $visibility:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) = $body:ident;) => {
        $(#[$doc])*
        $visibility fn $name($($arg: $type),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx2,fma")]
                fn avx512($($arg: $type),*) {
                    $body::<$crate::model::cpu::simd::Avx<8>>($($arg),*);
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $type),*) {
                    $body::<$crate::model::cpu::simd::Avx<4>>($($arg),*);
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    let more = is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("avx512dq");
                    #[expect(unsafe_code, reason = "the processor was asked")]
                    // SAFETY: it has the instructions that each enables.
                    return if more { unsafe { avx512($($arg),*) } } else { unsafe { avx2($($arg),*) } };
                }
            }
            $body::<$crate::model::cpu::simd::Plain>($($arg),*);
        }
    };
}
pub(super) use kernel;
