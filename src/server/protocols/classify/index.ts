import { performance } from 'node:perf_hooks'
import type { FastifyInstance } from 'fastify'
import { DECODE_LIMITS, decode } from '../../../image/decode.js'
import { imageSpecOf, softmaxWanted } from '../../../image/image-spec.js'
import { preprocess } from '../../../image/preprocess.js'
import { SubtenError } from '../../../runtime/errors.js'
import type { Inputs, Model, TensorSpec } from '../../../runtime/types.js'
import { disconnectSignal, underDeadline } from '../../call-options.js'
import { quoted } from '../../problem.js'
import type { ProtocolOptions } from '../../protocol-options.js'
import { bodyOf, readBodiesWhole } from '../../read-body.js'
import { serverTiming } from '../../stage-timing.js'
import { softmax, topK } from './top-k.js'

interface Route {
  Params: { model: string; version?: string }
  Querystring: { k?: string | string[] }
}

/** `POST /v1/classify/{model}?k=5`: the k likeliest labels of a PNG or JPEG. */
export async function classify(app: FastifyInstance, { models, limits }: ProtocolOptions): Promise<void> {
  readBodiesWhole(app, limits.imageBytes)
  const decodeLimits = { ...DECODE_LIMITS, maxPixels: limits.imagePixels }

  const paths = ['/v1/classify/:model', '/v1/classify/:model/versions/:version']
  for (const path of paths) {
    app.post<Route>(path, { bodyLimit: limits.imageBytes, preHandler: underDeadline }, async (request, reply) => {
      const signal = disconnectSignal(reply)
      const model = models.get(request.params.model, request.params.version)
      const k = countOf(request.query.k)
      const body = bodyOf(request)
      if (body.length === 0) {
        throw new SubtenError('INVALID_INPUT', 'the body is empty', {
          remedy: 'Send one PNG or JPEG file as the body.',
        })
      }
      const spec = imageSpecOf(model)
      const input = model.inputs.find((candidate) => candidate.name === spec.input) as TensorSpec
      const output = scoresOf(model)

      const started = performance.now()
      const picture = await decode(body, spec.channels, decodeLimits)
      const decoded = performance.now()
      const inputs: Record<string, Inputs[string]> = Object.create(null)
      inputs[input.name] = await preprocess(picture, spec, input)
      const prepared = performance.now()

      const outputs = await model.infer(inputs, { signal, trace: true })
      const tensor = Object.hasOwn(outputs, output.name) ? outputs[output.name] : undefined
      if (!tensor) throw new SubtenError('ENGINE_FAILED', `the model gave no output ${quoted(output.name)}`)
      const raw = tensor.toFloat32()
      const scores = softmaxWanted(model) ? softmax(raw) : raw
      const labels = model.labels(output.name)
      const top = topK(scores, Math.min(k, scores.length)).map(({ index, score }) => ({
        label: labels?.[index] ?? String(index),
        index,
        score,
      }))
      reply.header(
        'server-timing',
        serverTiming(
          [
            ['decode', decoded - started],
            ['preprocess', prepared - decoded],
          ],
          outputs,
        ),
      )
      return { model: model.name, version: model.version, top }
    })
  }
}

/** The query's k: a whole number from 1; 5 when absent. */
function countOf(text: string | string[] | undefined): number {
  if (text === undefined) return 5
  if (typeof text === 'string' && /^[1-9]\d{0,5}$/.test(text)) return Number(text)
  const shown = Array.isArray(text) ? 'given twice' : quoted(text)
  throw new SubtenError('INVALID_INPUT', `k must be a whole number from 1, not ${shown}`, {
    remedy: 'Ask for example for ?k=5.',
  })
}

/** The output with labels, or else the first that has a score for each class. */
function scoresOf(model: Model): TensorSpec {
  const numeric = model.outputs.filter((output) => output.datatype !== 'BYTES')
  const found = numeric.find((output) => model.labels(output.name) !== undefined) ?? numeric[0]
  if (found) return found
  throw new SubtenError('NOT_SUPPORTED', `model ${quoted(model.name)} has no output with scores`)
}
