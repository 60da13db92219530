import { createHmac } from 'node:crypto'

const PREFIX = 'whsec_'

/**
 * The headers of Standard Webhooks (standardwebhooks.com, specification 1.0.0): `webhook-id`, `webhook-timestamp` in
 * seconds, and `webhook-signature`, `v1,` and the base64 of the HMAC-SHA256 of `id.timestamp.body`. A receiver refuses old
 * timestamps and an id that it has seen.
 *
 * @param secret the key: base64 behind `whsec_`, as the specification writes it, or else its own bytes
 */
export function signedHeaders(
  id: string,
  timestampS: number,
  body: string,
  secret: string | undefined,
): Record<string, string> {
  const headers = { 'webhook-id': id, 'webhook-timestamp': String(timestampS) }
  if (secret === undefined) return headers
  const key = secret.startsWith(PREFIX) ? Buffer.from(secret.slice(PREFIX.length), 'base64') : Buffer.from(secret)
  const signature = createHmac('sha256', key).update(`${id}.${timestampS}.${body}`).digest('base64')
  return { ...headers, 'webhook-signature': `v1,${signature}` }
}
