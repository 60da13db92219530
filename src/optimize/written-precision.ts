/** Operators of ONNX that compute with, or lead to, eight bits. */
const OPERATORS = [
  'QuantizeLinear',
  'DequantizeLinear',
  'DynamicQuantizeLinear',
  'QLinearConv',
  'QLinearMatMul',
  'ConvInteger',
  'MatMulInteger',
]
/** Field 4 of onnx.NodeProto, `op_type`, length-delimited. */
const OP_TYPE = 0x22

/**
 * Finds in an ONNX file, piece by piece, whether it has quantised operators: their names as `op_type` of a node. Models that
 * come from elsewhere have no `subten.quantization` that says it.
 */
export class QuantisedOperators {
  readonly #marks = OPERATORS.map((name) => Buffer.from([OP_TYPE, name.length, ...Buffer.from(name)]))
  readonly #most = Math.max(...this.#marks.map(({ length }) => length))
  #rest = Buffer.alloc(0)
  found = false

  add(piece: Buffer): void {
    if (this.found) return
    // A name may lie across two pieces.
    const seam = Buffer.concat([this.#rest, piece.subarray(0, this.#most)])
    this.found = this.#marks.some((mark) => seam.includes(mark) || piece.includes(mark))
    this.#rest = Buffer.from(piece.length < this.#most ? seam.subarray(-this.#most) : piece.subarray(-this.#most))
  }
}
