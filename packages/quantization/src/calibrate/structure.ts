// ModelStructure: what a model's family says about how its weights meet, by module names, so that scales and rotations can
// move from one weight into another. The shared code knows no family.

/** Linears that read the same values x, and where a scale of x's columns can go: x / s instead of x. */
export interface Fold {
  /** All linears that read x; nothing else does. */
  readonly readers: readonly string[];
  /** x is the output of this norm ... */
  readonly norm?: string;
  /** ... or its column c is proportional to row `row(c)` of this linear (value to output projection, up to down). */
  readonly linear?: string;
  readonly row?: (column: number) => number;
}

/** A residual stream h [.., H] that an orthogonal Q can turn: h Q in the place of h everywhere. */
export interface Residual {
  readonly size: number;
  /** Modules whose weight rows are vectors of the stream: embeddings [V, H]. */
  readonly embeddings: readonly string[];
  /** A norm (without bias) of the stream, and the weights [N, H] that read what it gives. */
  readonly reads: readonly { readonly norm: string; readonly readers: readonly string[] }[];
  /** Linears [H, K] whose output is added to the stream. */
  readonly writes: readonly string[];
}

/** Attention heads whose values an orthogonal matrix [D, D] can turn: rows of `value` and columns of `output`. */
export interface ValueHeads {
  readonly value: string;
  readonly output: string;
  readonly headDim: number;
}

export interface ModelStructure {
  readonly folds: readonly Fold[];
  readonly residual?: Residual;
  readonly heads?: readonly ValueHeads[];
  /** Linears whose input has no norm or linear before it that could take a rotation: rotated online (R4). */
  readonly online?: readonly string[];
  /** Gives a head that is tied to the embedding a tensor of its own; absent where none is tied. */
  untie?(): void;
}
