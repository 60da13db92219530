import type { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { refusal } from './problem.js'

const FIRST_BYTES = 64 * 1024

/**
 * Makes every body of this plugin's routes one Buffer of at most `limit` bytes, whatever its content type. The bytes
 * go into one growing block: a body of millions of tiny chunks costs no more than its bytes.
 */
export function readBodiesWhole(app: FastifyInstance, limit: number): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (request: FastifyRequest, payload: Readable) => readBody(request, payload, limit))
}

async function readBody(request: FastifyRequest, payload: Readable, limit: number): Promise<Buffer> {
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw refusal(415, 'compressed bodies are not accepted', 'Send the body without Content-Encoding.')
  }
  const announced = Number(request.headers['content-length'] ?? 0)
  if (announced > limit) throw tooLarge(limit)
  let block = Buffer.allocUnsafeSlow(Math.min(limit, Math.max(FIRST_BYTES, announced)))
  let length = 0
  for await (const chunk of payload as AsyncIterable<Buffer>) {
    const needed = length + chunk.length
    if (needed > limit) throw tooLarge(limit)
    if (needed > block.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(limit, Math.max(needed, block.length * 2)))
      block.copy(grown, 0, 0, length)
      block = grown
    }
    chunk.copy(block, length)
    length = needed
  }
  return block.subarray(0, length)
}

function tooLarge(limit: number): Error {
  return refusal(
    413,
    `the body is larger than ${limit} bytes`,
    'Send less in one request, or raise the limit of the server.',
  )
}

/** The body that {@link readBodiesWhole} read; empty when there was none. */
export function bodyOf(request: FastifyRequest): Buffer {
  return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
}
