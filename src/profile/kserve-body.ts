import { type Datatype, STORAGE } from '../runtime/datatype.js'
import { SubtenError } from '../runtime/errors.js'
import type { Inputs, InputValue, TensorInput, TensorSpec } from '../runtime/types.js'

interface Plain {
  readonly name: string
  readonly datatype: Datatype
  readonly shape: readonly number[]
  readonly data: ArrayLike<number | bigint | string | Uint8Array>
}

/** A request of the KServe v2 protocol with its tensors as JSON. */
export function jsonBody(specs: readonly TensorSpec[], inputs: Inputs): Uint8Array {
  const tensors = plainTensors(specs, inputs).map(({ name, datatype, shape, data }) => {
    if (datatype === 'FP16' || datatype === 'BF16') {
      throw new SubtenError('NOT_SUPPORTED', `input '${name}' is ${datatype}, which JSON cannot carry`, {
        remedy: 'Measure with --protocol kserve-binary.',
      })
    }
    const values = Array.from(data, (value) => {
      if (typeof value === 'bigint') return Number(value)
      if (datatype === 'BOOL') return value !== 0
      return value instanceof Uint8Array ? Buffer.from(value).toString() : value
    })
    return { name, datatype, shape, data: values }
  })
  return Buffer.from(JSON.stringify({ inputs: tensors }))
}

/** The same with the tensors as binary data (extension of the protocol), and the answer wanted so; and its header. */
export function binaryBody(specs: readonly TensorSpec[], inputs: Inputs): { bytes: Uint8Array; headerLength: number } {
  const parts: Uint8Array[] = []
  const tensors = plainTensors(specs, inputs).map((tensor) => {
    const bytes = tensorBytes(tensor)
    parts.push(bytes)
    const { name, datatype, shape } = tensor
    return { name, datatype, shape, parameters: { binary_data_size: bytes.byteLength } }
  })
  const head = Buffer.from(JSON.stringify({ inputs: tensors, parameters: { binary_data_output: true } }))
  return { bytes: Buffer.concat([head, ...parts]), headerLength: head.byteLength }
}

function tensorBytes({ datatype, data }: Plain): Uint8Array {
  if (datatype === 'BYTES') {
    const parts: Buffer[] = []
    for (const element of Array.from(data as ArrayLike<string | Uint8Array>)) {
      const bytes = Buffer.from(element as string)
      const length = Buffer.alloc(4)
      length.writeUInt32LE(bytes.length)
      parts.push(length, bytes)
    }
    return Buffer.concat(parts)
  }
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  const array = new STORAGE[datatype].array(data.length)
  for (let i = 0; i < data.length; i++) array[i] = data[i] as never
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}

function plainTensors(specs: readonly TensorSpec[], inputs: Inputs): Plain[] {
  return Object.entries(inputs).flatMap(([name, value]) => {
    const spec = specs.find((candidate) => candidate.name === name)
    if (!spec) throw new SubtenError('INVALID_INPUT', `the model has no input '${name}'`)
    return value === undefined ? [] : [plain(spec, value)]
  })
}

function plain(spec: TensorSpec, value: InputValue): Plain {
  const described = (isDescribed(value) ? value : { data: value }) as TensorInput
  const data = described.data as Plain['data']
  const shape = described.shape ?? shapeFor(spec, data.length)
  return { name: spec.name, datatype: spec.datatype, shape, data }
}

function isDescribed(value: InputValue): value is TensorInput {
  return !ArrayBuffer.isView(value) && !Array.isArray(value)
}

/** The model's shape; the first unknown dimension that is not the batch takes what the elements leave. */
function shapeFor({ shape }: TensorSpec, elements: number): number[] {
  const known = shape.map((d) => (d < 0 ? 1 : d))
  const product = known.reduce((n, d) => n * d, 1)
  const unknown = shape.findLastIndex((d) => d < 0)
  if (unknown >= 0 && product > 0) known[unknown] = elements / product
  return known
}
