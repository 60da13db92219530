import { type ArrayOf, type Datatype, STORAGE, type TensorData } from './datatype.js'
import { SubtenError } from './errors.js'
import { bfloat16ToFloat32, float16ToFloat32 } from './half.js'

/**
 * A tensor of a result (or of a claimed slot): `data` in row-major order, `shape`, `datatype`. Small results share an
 * ArrayBuffer, which cannot be transferred: send a copy (`data.slice()`) to another thread.
 */
export class Tensor<T extends Datatype = Datatype> {
  readonly datatype: T
  readonly shape: readonly number[]
  readonly data: ArrayOf[T]

  constructor(datatype: T, shape: readonly number[], data: ArrayOf[T]) {
    this.datatype = datatype
    this.shape = shape
    this.data = data
  }

  /** Elements as FP32; FP16 and BF16 are widened, integers converted. Throws NOT_SUPPORTED for BYTES. */
  toFloat32(): Float32Array {
    const data: TensorData = this.data
    if (this.datatype === 'FP32') return data as Float32Array
    if (this.datatype === 'FP16') return float16ToFloat32(data as Uint16Array)
    if (this.datatype === 'BF16') return bfloat16ToFloat32(data as Uint16Array)
    if (STORAGE[this.datatype].bytes === 0) {
      throw new SubtenError('NOT_SUPPORTED', `a ${this.datatype} tensor has no FP32 form`)
    }
    return Float32Array.from(data as ArrayLike<number | bigint>, Number)
  }
}
