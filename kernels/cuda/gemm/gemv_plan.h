// How the work of gemv.cu is shared among blocks and warps, and what lies where in their shared memory.
#pragma once
#include "base/handover.h"
#include "base/ring.h"
#include "gemm/groups.h"
#include "gemm/linear.h"

namespace ao {

constexpr int kGemvWarps = 16, kGemvBlocks = 2; // of a block; of a multiprocessor
constexpr int kRowPad = 64; // bytes behind rows of plain weights, and columns of x: neighbours in other banks

// How sums come together: one for a row, which its scale may multiply at the end; or of whole units with bfloat16 scales of signed
// integers and x in one part; or of any groups. In kScaled codes of less than 8 bits are multiplied as 128 + q, and the sum of x, as often
// as that is too much, is taken off a group's sum: within about 2^-18 of the sum of magnitudes, for x up to 2^112.
enum Join : int { kWhole, kScaled, kGroups };

// Tiles that a warp has of a stage: about 1 kB.
template <int form>
constexpr int unit_of() {
  return is_plain(form) ? 1 : tile_bytes_of(form) <= 256 ? 4 : 2;
}
// Groups end after whole beats, so many columns of codes.
template <int form>
constexpr int beat_of() {
  return is_sparse(form) || form == kSmallForm + 4 ? 16 : 32;
}
// Calls of two_steps in a tile: half of 64 columns of x each.
template <int form>
constexpr int calls_of() {
  return 2 * x_tiles_of(form);
}

// How a kernel's work is shared, and where things are in shared memory, in bytes.
struct GemvPlan {
  int team, team_log2; // warps that share 16 rows: a power of two
  int stages;          // of a row
  uint32_t ends;       // beats of a unit after which a group ends
  int x_units;         // units of x: for each, columns of the product, halves of 64 columns of x, four lanes: 16 bytes
  int group_pieces, group_log2;    // pieces of 16 bytes of x in a group, of a unit at most
  int columns, parts, pairs, wide; // wide: columns of a pair, 1 where there is one column alone
  int column_bytes;                // of a column of a unit of x
  int codes, stage, depth;         // codes: of a stage; scales of all teams follow, then zeros
  int groups;                      // of a team's stage
  int sums_at, stages_at, partials_at, selectors_at, barriers_at, bytes;
  bool aligned, quick, settled; // quick: x in one part, whole tiles; settled: no kernel ahead writes weights
  Numbers numbers;
};

// What an item of 16 rows is of.
struct Item {
  const Weight* weight;
  const Store* store;
  int64_t panel;
};

} // namespace ao
