import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyPluginAsync,
  type FastifyReply,
} from 'fastify'
import type { LogEvent } from '../runtime/engine-log.js'
import type { SlaMonitor } from '../sla/monitor.js'
import { watchArrival } from './call-options.js'
import { FailureLog } from './failure-log.js'
import { InFlight } from './in-flight.js'
import { DEFAULT_LIMITS, type ServerLimits } from './limits.js'
import { metrics } from './metrics.js'
import type { ModelHost } from './model-host.js'
import { page } from './page.js'
import { type Problem, quoted, toProblem } from './problem.js'
import type { ProtocolOptions } from './protocol-options.js'
import { classify } from './protocols/classify/index.js'
import { kserveRest } from './protocols/kserve-rest/index.js'
import { measureEdge, sla } from './sla.js'

/** How long a stop waits for webhooks that are under way. */
const WEBHOOKS_MS = 2000

export interface ServerOptions {
  readonly models: ModelHost
  /** Measures the models against a contract; the server measures at the edge, and closes it when it stops. */
  readonly sla?: SlaMonitor | undefined
  readonly limits?: Partial<ServerLimits>
  /** True for fastify's own, or one of yours; none by default. */
  readonly logger?: boolean | { level: string; stream?: { write(line: string): void } } | FastifyBaseLogger
}

export interface Server {
  readonly app: FastifyInstance
  /** Listens and returns the address, `http://127.0.0.1:8000`; port 0 takes a free one. */
  listen(options: { host?: string; port: number }): Promise<string>
  /**
   * Graceful: readiness turns false, no connection is taken any more, requests in flight are waited for (bounded by
   * `limits.stopTimeoutMs`), then the models close. Resolves to whether everything in flight ended in time.
   */
  stop(): Promise<boolean>
}

/** The HTTP server of `subten serve`, not listening yet. */
export async function createServer(options: ServerOptions): Promise<Server> {
  const limits: ServerLimits = { ...DEFAULT_LIMITS, ...options.limits }
  const { models, logger = false, sla: monitor } = options
  const app = fastify({
    ...(isLogger(logger) ? { loggerInstance: logger } : { logger }),
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.requestTimeoutMs,
    forceCloseConnections: 'idle',
    http: { maxHeaderSize: limits.headerBytes },
    routerOptions: { maxParamLength: 256 },
    return503OnClosing: false,
    onProtoPoisoning: 'ignore',
    frameworkErrors: (error, _request, reply) => {
      sendProblem(reply as unknown as FastifyReply, toProblem(error))
    },
  }) as unknown as FastifyInstance

  const inFlight = new InFlight()
  let stopping: Promise<boolean> | undefined
  const failures = new FailureLog(app.log)
  const protocol: ProtocolOptions = { models, limits, accepting: () => stopping === undefined, sla: monitor, failures }
  app.addHook('onClose', async () => {
    failures.flush()
    failures.close()
  })

  inFlight.watch(app)
  watchArrival(app)
  logEngines(app)
  if (monitor) {
    measureEdge(app, monitor)
    logSla(app, monitor)
  }
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('x-content-type-options', 'nosniff')
    if (stopping) reply.header('connection', 'close')
  })
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error)
    failures.add(request.log, error, problem)
    sendProblem(reply, problem)
  })
  app.setNotFoundHandler((request, reply) => {
    const message = `there is nothing at ${request.method} ${quoted(request.url.split('?', 1)[0] ?? '')}`
    sendProblem(reply, { status: 404, code: 'NOT_FOUND', message, remedy: 'Check the method and the path.' })
  })

  const plugins: FastifyPluginAsync<ProtocolOptions>[] = [kserveRest, classify, metrics, sla, page]
  for (const plugin of plugins) await app.register(plugin, protocol)
  await app.ready()

  const stop = async (): Promise<boolean> => {
    // From here on `close` takes no connection; connections that are busy end with their answer.
    const closed = app.close()
    const clean = await inFlight.ended(limits.stopTimeoutMs)
    app.server.closeAllConnections()
    await closed
    await models.close()
    await monitor?.close(WEBHOOKS_MS)
    return clean
  }
  return {
    app,
    listen: ({ host = '127.0.0.1', port }) => app.listen({ host, port }),
    stop: () => {
      stopping ??= Promise.resolve().then(stop)
      return stopping
    },
  }
}

/** Alerts and broken objectives are warnings in the server's log, their end is information. */
function logSla(app: FastifyInstance, monitor: SlaMonitor): void {
  monitor.onEvent(({ type, model, objective, alert, status }) => {
    const facts = { model, objective, policy: alert?.policy, severity: alert?.severity, budgetLeft: status.budgetLeft }
    app.log[type === 'alert' || type === 'broken' ? 'warn' : 'info'](facts, `SLA ${type}: ${objective}`)
  })
}

/** What engines log goes to the server's log. */
function logEngines(app: FastifyInstance): void {
  const write = (event: unknown): void => {
    const { engine, level, source, message } = event as LogEvent
    app.log[level]({ engine, source }, message)
  }
  subscribe('subten:log', write)
  app.addHook('onClose', async () => {
    unsubscribe('subten:log', write)
  })
}

function isLogger(logger: NonNullable<ServerOptions['logger']>): logger is FastifyBaseLogger {
  return typeof logger === 'object' && 'info' in logger
}

function sendProblem(reply: FastifyReply, problem: Problem): void {
  const { code, message, remedy } = problem
  reply
    .code(problem.status)
    .type('application/json; charset=utf-8')
    .send(JSON.stringify({ error: { code, message, remedy } }))
}
