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

/** The budget left; throws when it is used up. */
function deadlineOf(request: FastifyRequest): number | undefined {
  const text = request.headers['x-request-deadline']
  if (text === undefined) return undefined
  const sent = typeof text === 'string' && /^\s*-?\d{1,12}(\.\d{1,9})?\s*$/.test(text) ? Number(text) : Number.NaN
  if (Number.isNaN(sent)) {
    throw new SubtenError('INVALID_INPUT', 'x-request-deadline must be a number: the milliseconds left')
  }
  if (sent <= 0) throw new SubtenError('DEADLINE_EXCEEDED', 'the deadline of the request had passed on arrival')
  const now = performance.now()
  const left = sent - (now - ((request as Timed)[ARRIVED] ?? now))
  if (left <= 0) throw new SubtenError('DEADLINE_EXCEEDED', 'the deadline passed while the request was read')
  return left
}

/** Aborted when the client goes away before its answer was written. */
export function disconnectSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort(new DOMException('the client disconnected', 'AbortError'))
  })
  return controller.signal
}
