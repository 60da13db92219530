import type { FastifyInstance } from 'fastify'
import { SubtenError } from '../../../runtime/errors.js'
import { disconnectSignal, underDeadline } from '../../call-options.js'
import { quoted } from '../../problem.js'
import type { ProtocolOptions } from '../../protocol-options.js'
import { bodyOf, readBodiesWhole } from '../../read-body.js'

interface Route {
  Params: { model: string; version?: string }
  Querystring: { k?: string | string[] }
}

/** `POST /v1/classify/{model}?k=5`: the k likeliest labels of a PNG, JPEG or WebP. */
export async function classify(app: FastifyInstance, { models, limits }: ProtocolOptions): Promise<void> {
  readBodiesWhole(app, limits.imageBytes)
  const maxPixels = limits.imagePixels

  const paths = ['/v1/classify/:model', '/v1/classify/:model/versions/:version']
  for (const path of paths) {
    app.post<Route>(path, { bodyLimit: limits.imageBytes, preHandler: underDeadline }, async (request, reply) => {
      const signal = disconnectSignal(reply)
      const model = models.get(request.params.model, request.params.version)
      const topK = countOf(request.query.k)
      const body = bodyOf(request)
      if (body.length === 0) {
        throw new SubtenError('INVALID_INPUT', 'the body is empty', {
          remedy: 'Send one PNG, JPEG or WebP file as the body.',
        })
      }
      const result = await model.classify(body, { topK, maxPixels, signal, trace: true })
      if (result.timing) reply.header('server-timing', result.timing.toServerTiming())
      return { model: result.model, version: result.version, top: result.top }
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
