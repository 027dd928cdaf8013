//! Intel's AMX: one instruction adds 16 rows times 16 columns, 32 values deep, in bf16 with f32 sums.
//! An order of magnitude more products a cycle than AVX-512.

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;

use super::avx512::Avx512;
use super::bf16::{Kernel, PANEL, Panels, STEP};

/// Proof that the processor has the tiles and that the system lets this process use them. AVX-512
/// rounds the rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amx(Avx512);

/// Rows of a block: two tiles.
const ROWS: usize = 32;

impl Amx {
    pub(crate) fn request() -> Option<Self> {
        /// Intel's manual, CPUID leaf 7: AMX-BF16 and AMX-TILE.
        const BOTH: u32 = 1 << 22 | 1 << 24;
        // SAFETY: every x86-64 processor has the instruction. (Older compilers do not know that.)
        #[allow(unused_unsafe)]
        let (leaves, features) = unsafe { (__cpuid_count(0, 0).eax, __cpuid_count(7, 0).edx) };
        let has = leaves >= 7 && features & BOTH == BOTH;
        let rounding = Avx512::detect()?;
        (has && permitted()).then_some(Self(rounding))
    }

    /// [`ROWS`] rows times one panel; `y` has `stride` numbers a row.
    fn block(self, x: &[u32], w: &[u32], y: &mut [f32], stride: usize) {
        let depth = x.len() / ROWS;
        assert!(x.len() == ROWS * depth && w.len() == depth * PANEL);
        assert!(depth > 0 && depth.is_multiple_of(STEP));
        assert!(y.len() >= (ROWS - 1) * stride + PANEL);
        let config = Config::EIGHT;
        // SAFETY: `self` proves that the instructions run. Each turn of the loop reads 16 pairs of
        // all 32 rows and 16 rows of the panel, and there are depth / 16 turns, so all reads are
        // inside `x` and `w`; the stores are inside `y`, as asserted. The state of the tiles begins
        // and ends here, and all their registers are named.
        unsafe {
            asm!(
                "ldtilecfg [{config}]",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "2:",
                "tileloadd tmm4, [{x} + {row}]",
                "tileloadd tmm6, [{w} + {pair}]",
                "tileloadd tmm7, [{w} + {pair} + 64]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{below} + {row}]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {x}, 64",
                "add {below}, 64",
                "add {w}, 2048",
                "dec {turns}",
                "jnz 2b",
                "tilestored [{y} + {stride}], tmm0",
                "tilestored [{y} + {stride} + 64], tmm1",
                "tilestored [{lower} + {stride}], tmm2",
                "tilestored [{lower} + {stride} + 64], tmm3",
                "tilerelease",
                config = in(reg) config.0.as_ptr(),
                x = inout(reg) x.as_ptr() => _,
                below = inout(reg) x.as_ptr().add(ROWS / 2 * depth) => _,
                row = in(reg) depth * 4,
                w = inout(reg) w.as_ptr() => _,
                pair = in(reg) PANEL * 4,
                turns = inout(reg) depth / STEP => _,
                y = in(reg) y.as_mut_ptr(),
                lower = in(reg) y.as_mut_ptr().add(ROWS / 2 * stride),
                stride = in(reg) stride * 4,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

impl Kernel for Amx {
    fn round(&self, row: &[f32], pairs: &mut Vec<u32>) {
        self.0.round(row, pairs);
    }

    fn product(&self, w: &Panels, mut x: Vec<u32>) -> Vec<f32> {
        let rows = x.len() / w.depth;
        x.resize(rows.next_multiple_of(ROWS) * w.depth, 0);
        w.by_blocks(&x, rows, ROWS, |x, pairs, y, columns| {
            if columns == PANEL && y.len() >= (ROWS - 1) * w.out + PANEL {
                return self.block(x, pairs, y, w.out);
            }
            let mut sums = [0f32; ROWS * PANEL];
            self.block(x, pairs, &mut sums, PANEL);
            for (y, sums) in y.chunks_mut(w.out).zip(sums.chunks_exact(PANEL)) {
                y[..columns].copy_from_slice(&sums[..columns]);
            }
        })
    }
}

/// Asks the system for the tiles' registers, which add 8 kB to the state of each thread.
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    /// `ARCH_REQ_XCOMP_PERM` of Linux's `asm/prctl.h`, and the tiles' bit in XCR0.
    const REQUEST: libc::c_ulong = 0x1023;
    const TILE_DATA: libc::c_ulong = 18;
    // SAFETY: the call takes two numbers and touches no memory of this process; a kernel that does
    // not know it returns an error.
    let refused = unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST, TILE_DATA) };
    refused == 0
}

#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}

/// What `ldtilecfg` reads.
#[repr(C, align(64))]
struct Config([u8; 64]);

impl Config {
    /// Eight tiles of 16 rows of 64 bytes.
    const EIGHT: Self = {
        let mut bytes = [0; 64];
        bytes[0] = 1;
        let mut tile = 0;
        while tile < 8 {
            bytes[16 + 2 * tile] = 64;
            bytes[48 + tile] = 16;
            tile += 1;
        }
        Self(bytes)
    };
}
