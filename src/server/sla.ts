import type { FastifyInstance, FastifyRequest } from 'fastify'
import { SubtenError } from '../runtime/errors.js'
import type { Reported, SlaMonitor } from '../sla/monitor.js'
import { slaReport } from '../sla/report.js'
import type { ProtocolOptions } from './protocol-options.js'
import { parseBoundedJson } from './protocols/kserve-rest/bounded-json.js'
import { bodyOf, readBodiesWhole } from './read-body.js'

const REPORT_BYTES = 64 * 1024
const REPORTS = 1000

/** `GET /v1/sla`, `GET /v1/sla/report`, and `POST /v1/sla/events` for what clients and applications measure. */
export async function sla(app: FastifyInstance, { models, limits, sla: monitor }: ProtocolOptions): Promise<void> {
  readBodiesWhole(app, REPORT_BYTES)
  app.get('/v1/sla', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    return there(monitor).status()
  })
  app.get('/v1/sla/report', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    return slaReport(there(monitor), models.models())
  })
  app.post('/v1/sla/events', { bodyLimit: REPORT_BYTES }, async (request, reply) => {
    const measuring = there(monitor)
    const reports = reportsOf(request, limits.jsonDepth)
    measuring.record(reports)
    return reply.code(202).send({ accepted: reports.length })
  })
}

function there(monitor: SlaMonitor | undefined): SlaMonitor {
  if (monitor !== undefined) return monitor
  throw new SubtenError('NOT_SUPPORTED', 'this server measures no SLA', {
    remedy: 'Start it with a contract: subten serve --sla FILE.',
    details: { http: 404 },
  })
}

/** One report, or a list of them. The numbers are checked where they are counted. */
function reportsOf(request: FastifyRequest, depth: number): Reported[] {
  const body = parseBoundedJson(bodyOf(request), depth)
  const list: unknown[] = Array.isArray(body) ? body : [body]
  if (list.length > REPORTS) throw wrong(`at most ${REPORTS} reports go into one request`)
  return list.map((each) => {
    const { objective, model, good, total, excluded } = (each ?? {}) as Record<string, unknown>
    if (typeof objective !== 'string') throw wrong('a report needs "objective", the name of one')
    if (model !== undefined && typeof model !== 'string') throw wrong('"model" must be the name of a model')
    const counts = { good: good as number, total: total as number }
    return {
      objective,
      ...(model !== undefined && { model }),
      ...counts,
      ...(excluded !== undefined && { excluded: excluded as number }),
    }
  })
}

function wrong(message: string): SubtenError {
  const remedy = 'Send { "objective": "digits-accuracy", "good": 98, "total": 100 }, or a list of these.'
  return new SubtenError('INVALID_INPUT', message, { remedy })
}

const INFERENCE =
  /^\/(?:v2\/models\/:model(?:\/versions\/:version)?\/infer|v1\/classify\/:model(?:\/versions\/:version)?)$/
const READ = Symbol('when the request had been read')

/**
 * Measures inference requests at the edge: request read → answer handed to the socket. Answers of 5xx are bad (refused,
 * expired, failed); of 4xx, the client's own mistakes, are no events; a client that went away first is excluded.
 */
export function measureEdge(app: FastifyInstance, monitor: SlaMonitor): void {
  monitor.watchEdge()
  app.addHook('onRequest', async (request, reply) => {
    if (!INFERENCE.test(request.routeOptions.url ?? '')) return
    const { model } = request.params as { model: string }
    const edge = monitor.edge(model)
    if (edge === undefined) return
    const timed = request as FastifyRequest & { [READ]?: number }
    timed[READ] = performance.now()
    reply.raw.once('close', () => {
      const us = (performance.now() - (timed[READ] as number)) * 1000
      if (!reply.raw.writableFinished) edge.clientLeft()
      else if (reply.statusCode < 400) edge.answered(us)
      else if (reply.statusCode >= 500) edge.failed()
    })
  })
  app.addHook('preHandler', async (request) => {
    const timed = request as FastifyRequest & { [READ]?: number }
    if (timed[READ] !== undefined) timed[READ] = performance.now()
  })
}
