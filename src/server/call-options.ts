import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import { withDeadline } from '../runtime/deadline.js'
import { SubtenError } from '../runtime/errors.js'

const ARRIVED = Symbol('when the head of the request had been read')
type Timed = FastifyRequest & { [ARRIVED]?: number }

/** Notes when each request arrives: reading its body takes its time out of the budget. */
export function watchArrival(app: FastifyInstance): void {
  app.addHook('onRequest', (request, _reply, done) => {
    ;(request as Timed)[ARRIVED] = performance.now()
    done()
  })
}

/**
 * A preHandler: runs what follows, the handler included, under the deadline of the header `x-request-deadline`, which
 * has the milliseconds that were left when the request was sent. Ends requests whose time is up already.
 */
export function underDeadline(request: FastifyRequest, _reply: FastifyReply, done: HookHandlerDoneFunction): void {
  let left: number | undefined
  try {
    left = deadlineOf(request)
  } catch (error) {
    done(error as Error)
    return
  }
  if (left === undefined) done()
  else withDeadline(left, done)
}

/** Milliseconds of the units that gRPC's wire format has (gRPC over HTTP/2, "Timeout"). */
const GRPC_UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }

/** The budget left; throws when it is used up. Of two headers the one that leaves less counts. */
function deadlineOf(request: FastifyRequest): number | undefined {
  const { headers } = request
  const budgets = [leftOf(headers['x-request-deadline']), timeoutOf(headers['grpc-timeout'])]
  const sent = Math.min(...budgets.filter((budget) => budget !== undefined))
  if (sent === Number.POSITIVE_INFINITY) return
  if (sent <= 0) throw new SubtenError('DEADLINE_EXCEEDED', 'the deadline of the request had passed on arrival')
  const now = performance.now()
  const left = sent - (now - ((request as Timed)[ARRIVED] ?? now))
  if (left <= 0) throw new SubtenError('DEADLINE_EXCEEDED', 'the deadline passed while the request was read')
  return left
}

type Header = string | string[] | undefined

function leftOf(text: Header): number | undefined {
  if (text === undefined) return
  if (typeof text === 'string' && /^\s*-?\d{1,12}(\.\d{1,9})?\s*$/.test(text)) return Number(text)
  throw new SubtenError('INVALID_INPUT', 'x-request-deadline must be a number: the milliseconds left')
}

function timeoutOf(text: Header): number | undefined {
  if (text === undefined) return
  const [, digits, unit = ''] = (typeof text === 'string' && /^(\d{1,8})([HMSmun])$/.exec(text)) || []
  if (digits !== undefined) return Number(digits) * (GRPC_UNITS[unit] as number)
  throw new SubtenError(
    'INVALID_INPUT',
    'grpc-timeout must be a number of up to eight digits and a unit, as 20m for 20 ms',
  )
}

/** Aborted when the client goes away before its answer was written. */
export function disconnectSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort(new DOMException('the client disconnected', 'AbortError'))
  })
  return controller.signal
}
