import type { FastifyInstance, FastifyReply } from 'fastify'
import { disconnectSignal, underDeadline } from '../../call-options.js'
import { version } from '../../package-version.js'
import { toProblem, withoutPaths } from '../../problem.js'
import type { ProtocolOptions } from '../../protocol-options.js'
import { bodyOf, readBodiesWhole } from '../../read-body.js'
import { serverTiming } from '../../stage-timing.js'
import { parseBoundedJson } from './bounded-json.js'
import { readInferRequest } from './infer-request.js'
import { writeInferResponse } from './infer-response.js'
import { EXTENSIONS, modelMetadata } from './metadata.js'
import { invalid } from './tensor-shape.js'

interface Route {
  Params: { model: string; version?: string }
}

const HEADER_LENGTH = 'inference-header-content-length'

/**
 * KServe v2 over HTTP (the Open Inference Protocol) with Triton's binary tensor data extension and repository index.
 * Errors are `{ "error": "…" }`.
 */
export async function kserveRest(app: FastifyInstance, options: ProtocolOptions): Promise<void> {
  // A scope of its own: the error form below holds under /v2 only.
  await app.register(async (scope) => routes(scope, options), { prefix: '/v2' })
}

async function routes(app: FastifyInstance, { models, limits, accepting, failures }: ProtocolOptions): Promise<void> {
  readBodiesWhole(app, limits.bodyBytes)
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error)
    failures.add(request.log, error, problem)
    sendError(reply, problem.status, problem.message)
  })
  app.setNotFoundHandler((_request, reply) => sendError(reply, 404, 'there is nothing at this method and path'))

  app.get('/', async () => ({ name: 'subten', version, extensions: EXTENSIONS }))
  app.get('/health/live', async () => ({ live: true }))
  app.get('/health/ready', async (_request, reply) => {
    const ready = accepting() && models.ready
    return reply.code(ready ? 200 : 503).send({ ready })
  })
  app.post('/repository/index', async (request) => {
    const body = bodyOf(request)
    const wanted = body.length === 0 ? {} : parseBoundedJson(body, limits.jsonDepth)
    const onlyReady = (wanted as { ready?: unknown } | null)?.ready === true
    return models
      .index()
      .filter((entry) => !onlyReady || entry.state === 'READY')
      .map((entry) => ({ ...entry, reason: withoutPaths(entry.reason) }))
  })

  for (const path of ['/models/:model', '/models/:model/versions/:version']) {
    app.get<Route>(path, async ({ params }) => {
      const model = models.get(params.model, params.version)
      return modelMetadata(model, models.versions(model.name))
    })
    app.get<Route>(`${path}/ready`, async ({ params }, reply) => {
      const model = models.get(params.model, params.version)
      const ready = accepting() && !model.closed
      return reply.code(ready ? 200 : 503).send({ name: model.name, ready })
    })
    app.get<Route>(`${path}/config`, async ({ params }) => models.get(params.model, params.version).config)
    app.post<Route>(
      `${path}/infer`,
      { bodyLimit: limits.bodyBytes, preHandler: underDeadline },
      async (request, reply) => {
        const signal = disconnectSignal(reply)
        const model = models.get(request.params.model, request.params.version)
        const wanted = readInferRequest(bodyOf(request), headerLengthOf(request.headers[HEADER_LENGTH]), model, limits)
        const given = { ...wanted.options, id: wanted.id, signal, trace: true, bytes: true }
        const outputs = await model.infer(wanted.inputs, given)
        const { body, headerLength } = writeInferResponse(model, wanted, outputs)
        reply.header('server-timing', serverTiming(outputs))
        if (headerLength === undefined) return reply.type('application/json').send(body)
        return reply.header(HEADER_LENGTH, headerLength).type('application/octet-stream').send(body)
      },
    )
  }
}

function headerLengthOf(text: string | string[] | undefined): number | undefined {
  if (text === undefined) return undefined
  if (typeof text === 'string' && /^\d{1,15}$/.test(text)) return Number(text)
  throw invalid('Inference-Header-Content-Length must be a whole number from 0')
}

function sendError(reply: FastifyReply, status: number, error: string): void {
  reply.code(status).type('application/json').send(JSON.stringify({ error }))
}
