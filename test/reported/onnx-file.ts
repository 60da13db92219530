// Writes the smallest ONNX file with a weight of a given size, field by field in protobuf's wire format.

const varint = (value: number): number[] =>
  value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(Math.floor(value / 0x80))]
const number = (field: number, value: number): Buffer => Buffer.from([...varint(field << 3), ...varint(value)])
const bytes = (field: number, ...parts: (Buffer | string)[]): Buffer => {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part as string)))
  return Buffer.concat([Buffer.from([...varint((field << 3) | 2), ...varint(content.length)]), content])
}

/** `y = x · w`: x FP32 [1, rows], w FP32 [rows, columns] all zero, y FP32 [1, columns]. */
export function matMulModel(rows: number, columns: number): Buffer {
  const float = number(1, 1)
  const shape = (dims: number[]): Buffer => bytes(2, ...dims.map((dim) => bytes(1, number(1, dim))))
  const tensor = (name: string, dims: number[]): Buffer[] => [
    bytes(1, name),
    bytes(2, bytes(1, Buffer.concat([float, shape(dims)]))),
  ]
  const node = bytes(1, bytes(1, 'x'), bytes(1, 'w'), bytes(2, 'y'), bytes(4, 'MatMul'))
  const weight = bytes(
    5,
    number(1, rows),
    number(1, columns),
    number(2, 1),
    bytes(8, 'w'),
    bytes(9, Buffer.alloc(4 * rows * columns)),
  )
  const graph = bytes(
    7,
    node,
    bytes(2, 'large'),
    weight,
    bytes(11, ...tensor('x', [1, rows])),
    bytes(12, ...tensor('y', [1, columns])),
  )
  const opset = bytes(8, number(2, 17))
  return Buffer.concat([number(1, 8), graph, opset])
}
