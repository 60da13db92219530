import type { ArrayOf, Datatype } from './datatype.js'
import type { Tensor } from './tensor.js'
import type { InferOptions, Model, TensorInput, Timing } from './types.js'

/**
 * Models known to the compiler, by the path they are loaded from. `subten types DIR` prints a declaration file that
 * adds to it: each entry is `{ inputs: { name: 'FP32' }, outputs: { … } }`.
 */
// biome-ignore lint/suspicious/noEmptyInterface: users augment it
export interface Models {}

type Names = { readonly [name: string]: Datatype }
type In<T extends Names> = { readonly [K in keyof T]: ArrayOf[T[K]] | TensorInput }
type Out<T extends Names> = { readonly [K in keyof T]: Tensor<T[K]> } & {
  readonly timing?: Timing
  readonly servedBy?: string
}

/** A model whose tensors the compiler knows. */
export interface TypedModel<I extends Names, O extends Names> extends Omit<Model, 'infer' | 'inferSync' | 'stream'> {
  infer(inputs: In<I>, options?: InferOptions): Promise<Out<O>>
  inferSync(inputs: In<I>, options?: { bytes?: boolean; trace?: boolean }): Out<O>
  stream(inputs: In<I>, options?: InferOptions): TypedStream<O>
}

/** A stream of a model whose tensors the compiler knows. */
export interface TypedStream<O extends Names> extends AsyncDisposable {
  [Symbol.asyncIterator](): TypedStream<O>
  next(): Promise<IteratorResult<Out<O>, undefined>>
  return(): Promise<IteratorResult<Out<O>, undefined>>
  throw(error: unknown): Promise<IteratorResult<Out<O>, undefined>>
}

/** What `load(path)` returns: a typed model where {@link Models} knows the path. */
export type ModelAt<P extends string> = P extends keyof Models
  ? Models[P] extends { inputs: infer I extends Names; outputs: infer O extends Names }
    ? TypedModel<I, O>
    : Model
  : Model
