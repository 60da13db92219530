import { SubtenError } from '../../../runtime/errors.js'
import type { Model, Outputs } from '../../../runtime/types.js'
import { quoted } from '../../problem.js'
import { timingOf } from '../../stage-timing.js'
import { toBinary } from './binary-data.js'
import type { InferRequest } from './infer-request.js'
import { toJson } from './json-data.js'

export interface InferResponse {
  readonly body: Buffer
  /** Length of the JSON when binary tensor data follows it. */
  readonly headerLength?: number
}

export function writeInferResponse(model: Model, request: InferRequest, outputs: Outputs): InferResponse {
  const tensors: string[] = []
  const binary: Buffer[] = []
  for (const wanted of request.outputs) {
    const tensor = Object.hasOwn(outputs, wanted.name) ? outputs[wanted.name] : undefined
    if (!tensor) throw new SubtenError('ENGINE_FAILED', `the model gave no output ${quoted(wanted.name)}`)
    const { datatype, shape } = tensor
    const head = `"name":${JSON.stringify(wanted.name)},"datatype":"${datatype}","shape":[${shape.join()}]`
    if (wanted.binary) {
      const bytes = toBinary(tensor)
      binary.push(bytes)
      tensors.push(`{${head},"parameters":{"binary_data_size":${bytes.length}}}`)
    } else {
      tensors.push(`{${head},"data":${toJson(tensor, quoted(wanted.name))}}`)
    }
  }
  const names = `"model_name":${JSON.stringify(model.name)},"model_version":${JSON.stringify(model.version)}`
  const id = request.id === undefined ? '' : `"id":${JSON.stringify(request.id)},`
  // Who asked for one model is told that a cheaper one answered.
  const servedBy = timingOf(outputs)?.servedBy
  const parameters = servedBy === undefined ? '' : `"parameters":{"served_by":${JSON.stringify(servedBy)}},`
  const json = Buffer.from(`{${names},${id}${parameters}"outputs":[${tensors.join()}]}`)
  if (binary.length === 0) return { body: json }
  return { body: Buffer.concat([json, ...binary]), headerLength: json.length }
}
