// The upper Cholesky factor of an inverse: U [n, n], upper triangular, with U^T U = A^-1, for A symmetric and positive
// definite. With J the reversal of rows: J A J = L L^T gives A = R R^T for the upper R = J L J, and so U = R^-1 = J L^-1 J:
// one factorisation and one triangular inverse, n^3 / 3 products in all, where inverting and factoring again takes three times that.

/** L of a = L L^T in place, lower, row-major [n, n]; the upper half is left. false where a pivot is not above 0. */
function cholesky(a: Float64Array, n: number): boolean {
  for (let i = 0; i < n; i += 4) {
    const rows = Math.min(4, n - i);
    if (rows === 4) fourRows(a, n, i);
    for (let r = i; r < i + rows; r++) {
      for (let j = rows === 4 ? i : 0; j <= r; j++) {
        let s = a[r * n + j] as number;
        for (let k = 0, p = r * n, q = j * n; k < j; k++, p++, q++) s -= (a[p] as number) * (a[q] as number);
        if (j < r) a[r * n + j] = s / (a[j * n + j] as number);
        else if (s > 0 && Number.isFinite(s)) a[r * n + r] = Math.sqrt(s);
        else return false;
      }
    }
  }
  return true;
}

/** The columns before i of rows i to i + 3: each earlier row is read once for the four. */
function fourRows(a: Float64Array, n: number, i: number): void {
  const [p0, p1, p2, p3] = [i * n, i * n + n, i * n + 2 * n, i * n + 3 * n];
  for (let j = 0; j < i; j++) {
    let [s0, s1, s2, s3] = [0, 0, 0, 0];
    const q = j * n;
    for (let k = 0; k < j; k++) {
      const v = a[q + k] as number;
      s0 += (a[p0 + k] as number) * v;
      s1 += (a[p1 + k] as number) * v;
      s2 += (a[p2 + k] as number) * v;
      s3 += (a[p3 + k] as number) * v;
    }
    const pivot = a[q + j] as number;
    a[p0 + j] = ((a[p0 + j] as number) - s0) / pivot;
    a[p1 + j] = ((a[p1 + j] as number) - s1) / pivot;
    a[p2 + j] = ((a[p2 + j] as number) - s2) / pivot;
    a[p3 + j] = ((a[p3 + j] as number) - s3) / pivot;
  }
}

/** Columns of the inverse that are found together: they stay in the cache while L is read. */
const PANEL = 128;

/** X = L^-1 for lower L, both row-major [n, n]: X[i] = (e_i - sum over k < i of L[i, k] X[k]) / L[i, i]. */
function lowerInverse(l: Float64Array, n: number): Float64Array {
  const x = new Float64Array(n * n);
  for (let from = 0; from < n; from += PANEL) {
    const width = Math.min(PANEL, n - from);
    const panel = new Float64Array((n - from) * width);
    const row = new Float64Array(width);
    for (let i = from; i < n; i++) {
      row.fill(0);
      if (i < from + width) row[i - from] = 1;
      subtractRows(row, panel, l, i * n + from, i - from, width);
      const pivot = 1 / (l[i * n + i] as number);
      const at = (i - from) * width;
      for (let c = 0; c < width; c++) panel[at + c] = (row[c] as number) * pivot;
      x.set(panel.subarray(at, at + width), i * n + from);
    }
  }
  return x;
}

/** row -= sum over k < count of f[at + k] panel[k], four rows of the panel [*, width] at a time. */
function subtractRows(
  row: Float64Array,
  panel: Float64Array,
  f: Float64Array,
  at: number,
  count: number,
  width: number,
): void {
  let k = 0;
  for (; k + 3 < count; k += 4) {
    const [f0, f1, f2, f3] = [f[at + k], f[at + k + 1], f[at + k + 2], f[at + k + 3]] as number[] as [
      number,
      number,
      number,
      number,
    ];
    const [p0, p1, p2, p3] = [k * width, (k + 1) * width, (k + 2) * width, (k + 3) * width];
    for (let c = 0; c < width; c++) {
      row[c] =
        (row[c] as number) -
        f0 * (panel[p0 + c] as number) -
        f1 * (panel[p1 + c] as number) -
        f2 * (panel[p2 + c] as number) -
        f3 * (panel[p3 + c] as number);
    }
  }
  for (; k < count; k++) {
    const factor = f[at + k] as number;
    for (let c = 0; c < width; c++) row[c] = (row[c] as number) - factor * (panel[k * width + c] as number);
  }
}

/** U, or null where a is not positive definite. `a` is row-major [n, n], only its values on and above the diagonal are read. */
export function inverseFactor(a: Float64Array, n: number): Float32Array | null {
  const last = n - 1;
  const reversed = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) reversed[i * n + j] = a[(last - i) * n + last - j] as number;
  }
  if (!cholesky(reversed, n)) return null;
  const x = lowerInverse(reversed, n);
  const u = new Float32Array(n * n);
  for (let i = 0; i < n; i++) for (let j = i; j < n; j++) u[i * n + j] = x[(last - i) * n + last - j] as number;
  return u;
}
