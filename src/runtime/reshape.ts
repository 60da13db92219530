/**
 * The shape of a tensor on the other side of a `reshape`: `shape` fits the pattern `from` and becomes one of the pattern
 * `to`. Unknown dimensions (-1) keep their sizes, in order, as in Triton (`InferenceRequest::Normalize`).
 */
export function reshape(shape: readonly number[], from: readonly number[], to: readonly number[]): readonly number[] {
  const sizes = shape.filter((_, i) => from[i] === -1)
  let next = 0
  return to.map((dim) => (dim === -1 ? (sizes[next++] ?? -1) : dim))
}
