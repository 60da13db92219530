import type { FastifyReply, FastifyRequest } from 'fastify'
import { SubtenError } from '../runtime/errors.js'

/** The budget left from the header `x-request-deadline` (milliseconds left); throws when it is used up already. */
export function deadlineOf(request: FastifyRequest): number | undefined {
  const text = request.headers['x-request-deadline']
  if (text === undefined) return undefined
  const left = typeof text === 'string' && /^\s*-?\d{1,12}(\.\d{1,9})?\s*$/.test(text) ? Number(text) : Number.NaN
  if (Number.isNaN(left)) {
    throw new SubtenError('INVALID_INPUT', 'x-request-deadline must be a number: the milliseconds left')
  }
  if (left <= 0) throw new SubtenError('DEADLINE_EXCEEDED', 'the deadline of the request had passed on arrival')
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
