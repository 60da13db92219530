import { createHmac } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { slaEvent, Webhooks } from '../../../src/sla/notify.js'
import { ObjectiveMeter } from '../../../src/sla/objective-meter.js'
import { mayPass, retryAfter, retryDelay } from '../../../src/sla/retry.js'
import { Timeline } from '../../../src/sla/timeline.js'
import type { SlaEvent } from '../../../src/sla/types.js'
import { Webhook, type WebhookOptions } from '../../../src/sla/webhook.js'
import { signedHeaders } from '../../../src/sla/webhook-signature.js'
import { objective, TestClock, WORKBOOK } from './objectives.js'

interface Got {
  headers: IncomingHttpHeaders
  body: string
  at: number
}

const servers: Server[] = []
const webhooks: Webhook[] = []
afterEach(async () => {
  await Promise.all(webhooks.splice(0).map((webhook) => webhook.close()))
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

/** A receiver that answers as it is told, request by request; the last answer holds for all that follow. */
async function receiver(...answers: ((response: ServerResponse) => void)[]): Promise<{ url: string; got: Got[] }> {
  const got: Got[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => (body += chunk))
    request.on('end', () => {
      got.push({ headers: request.headers, body, at: performance.now() })
      const answer = answers[Math.min(got.length, answers.length) - 1]
      if (answer) answer(response)
      else response.writeHead(204).end()
    })
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, got }
}

const status =
  (code: number, headers: Record<string, string> = {}) =>
  (response: ServerResponse): unknown =>
    response.writeHead(code, headers).end()

function event(type: SlaEvent['type'] = 'broken'): SlaEvent {
  const timeline = new Timeline(new TestClock())
  const promise = objective()
  const meter = new ObjectiveMeter(promise, [], timeline)
  return slaEvent(promise, { type } as never, meter.status(timeline.now()), 1234)
}

function sending(url: string, options: WebhookOptions = {}, secret?: string) {
  const warnings: string[] = []
  const webhook = new Webhook(
    { name: 'chat', url, secret },
    { random: () => 0, warn: (message) => warnings.push(message), ...options },
  )
  webhooks.push(webhook)
  return { webhook, warnings }
}

describe('the signature', () => {
  it('is that of the Standard Webhooks specification', () => {
    // The example of the specification's reference libraries.
    const headers = signedHeaders(
      'msg_p5jXN8AQM9LWM0D4loKWxJek',
      1614265330,
      '{"test": 2432232314}',
      'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    )
    expect(headers).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    })
  })

  it('of a secret that is no base64 of the specification is made with its own bytes', () => {
    const { 'webhook-signature': signature } = signedHeaders('a', 5, 'body', 'plain secret')
    expect(signature).toBe(`v1,${createHmac('sha256', 'plain secret').update('a.5.body').digest('base64')}`)
  })
})

it('the verification that the documentation shows takes what is sent, and nothing else', async () => {
  const [, code = ''] =
    /```js\n(import \{ createHmac[\s\S]*?)```/.exec(await readFile('docs/sla-live.md', 'utf8')) ?? []
  const { verify } = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as {
    verify(headers: Record<string, string>, body: string, secret: string): unknown
  }
  const body = '{"type":"alert"}'
  const now = Math.floor(Date.now() / 1000)
  for (const secret of ['plain', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']) {
    const headers = signedHeaders('msg_1', now, body, secret)
    expect(verify(headers, body, secret)).toEqual({ type: 'alert' })
    expect(() => verify(headers, body.replace('alert', 'met'), secret)).toThrow('not ours')
    expect(() => verify({ ...headers, 'webhook-id': 'msg_2' }, body, secret)).toThrow('not ours')
    expect(() => verify(signedHeaders('msg_1', now - 600, body, secret), body, secret)).toThrow('too old')
  }
})

describe('a webhook', () => {
  it('delivers the event with an id, a time and a signature over both and the body', async () => {
    const { url, got } = await receiver()
    const { webhook } = sending(url, {}, 'key')
    webhook.send(event())
    await vi.waitFor(() => expect(webhook.counts).toEqual({ delivered: 1, dropped: 0, waiting: 0 }))
    const { headers, body } = got[0] as Got
    expect(JSON.parse(body)).toMatchObject({ type: 'broken', objective: 'digits-available', owner: 'team-a', at: 1234 })
    const { 'webhook-id': id, 'webhook-timestamp': at } = headers
    expect(Math.abs(Number(at) - Date.now() / 1000)).toBeLessThan(30)
    expect(headers['webhook-signature']).toBe(
      `v1,${createHmac('sha256', 'key').update(`${id}.${at}.${body}`).digest('base64')}`,
    )
    expect(headers['content-type']).toBe('application/json')
  })

  it('tries again after 5xx, 429 and broken connections, under the same id, and keeps the order', async () => {
    const { url, got } = await receiver(status(503), status(429), (response) => response.destroy(), status(200))
    const { webhook } = sending(url)
    webhook.send(event('alert'))
    webhook.send(event('resolved'))
    await vi.waitFor(() => expect(webhook.counts.delivered).toBe(2), 5000)
    const types = got.map(({ body }) => (JSON.parse(body) as SlaEvent).type)
    expect(types).toEqual(['alert', 'alert', 'alert', 'alert', 'resolved'])
    const ids = got.map(({ headers }) => headers['webhook-id'])
    expect(new Set(ids.slice(0, 4)).size).toBe(1)
    expect(ids[4]).not.toBe(ids[0])
  })

  it('waits as long as Retry-After asks', async () => {
    const { url, got } = await receiver(status(503, { 'retry-after': '1' }), status(200))
    const { webhook } = sending(url)
    webhook.send(event())
    await vi.waitFor(() => expect(webhook.counts.delivered).toBe(1), 5000)
    expect((got[1]?.at ?? 0) - (got[0]?.at ?? 0)).toBeGreaterThan(990)
  })

  it.each([
    [status(302, { location: '/elsewhere' }), 'redirects are not followed'],
    [status(400), 'it answered 400'],
    [status(410), 'it answered 410'],
  ])('gives an event up at once that the receiver refuses (%#), counts it and says so', async (answer, why) => {
    const { url, got } = await receiver(answer)
    const { webhook, warnings } = sending(url)
    webhook.send(event())
    await vi.waitFor(() => expect(webhook.counts).toEqual({ delivered: 0, dropped: 1, waiting: 0 }))
    expect(got).toHaveLength(1)
    expect(warnings[0]).toContain(why)
    expect(warnings[0]).not.toContain(url)
  })

  it('gives up after its last attempt, and goes on with the next event', async () => {
    const { url } = await receiver(status(500), status(500), status(500), status(200))
    const { webhook, warnings } = sending(url, { attempts: 3 })
    webhook.send(event())
    webhook.send(event())
    await vi.waitFor(() => expect(webhook.counts).toEqual({ delivered: 1, dropped: 1, waiting: 0 }))
    expect(warnings[0]).toContain('it was tried 3 times')
  })

  it('does not wait for ever for an answer', async () => {
    const { url } = await receiver(() => {})
    const { webhook, warnings } = sending(url, { attempts: 1, timeoutMs: 50 })
    webhook.send(event())
    await vi.waitFor(() => expect(webhook.counts.dropped).toBe(1))
    expect(warnings[0]).toContain('no answer within 50 ms')
  })

  it('has a bounded queue from which the oldest waiting event goes; sending never waits', async () => {
    let release: () => void = () => {}
    const { url, got } = await receiver((response) => {
      release = () => response.writeHead(204).end()
    }, status(204))
    const { webhook, warnings } = sending(url, { queue: 4 })
    for (let i = 0; i < 10; i++) webhook.send({ ...event(), at: i })
    expect(webhook.counts).toMatchObject({ waiting: 4, dropped: 6 })
    await vi.waitFor(() => expect(got).toHaveLength(1))
    release()
    await vi.waitFor(() => expect(webhook.counts).toEqual({ delivered: 4, dropped: 6, waiting: 0 }))
    expect(got.map(({ body }) => (JSON.parse(body) as SlaEvent).at)).toEqual([0, 7, 8, 9])
    expect(warnings).toHaveLength(6)
  })

  it('that is closed waits so long for what is under way, then drops the rest and says how much', async () => {
    const { url } = await receiver(() => {})
    const { webhook, warnings } = sending(url)
    webhook.send(event())
    webhook.send(event())
    await webhook.close(50)
    expect(webhook.counts).toEqual({ delivered: 0, dropped: 2, waiting: 0 })
    expect(warnings[0]).toContain('2 messages had not been delivered')
    webhook.send(event())
    expect(webhook.counts.waiting).toBe(0)
  })
})

describe('the targets of a contract', () => {
  const alerts = (targets: { name: string; url?: string; secretEnv?: string }[], whenResolved?: boolean) => [
    { ...WORKBOOK, targets, ...(whenResolved !== undefined && { whenResolved }) },
  ]

  it('each get an event once, and no end of an alert where they do not want it', async () => {
    const { url, got } = await receiver()
    const objectives = [
      objective({ alerts: [...alerts([{ name: 'chat', url }], false), ...alerts([{ name: 'chat', url }], false)] }),
    ]
    const all = new Webhooks(objectives)
    for (const type of ['broken', 'met', 'alert', 'resolved'] as const) {
      const alert = type === 'alert' || type === 'resolved' ? { alert: { policy: 'workbook' } } : {}
      all.send({ ...event(type), ...alert } as SlaEvent)
    }
    await vi.waitFor(() => expect(all.counts[0]?.delivered).toBe(2))
    expect(got.map(({ body }) => (JSON.parse(body) as SlaEvent).type)).toEqual(['broken', 'alert'])
    await all.close(0)
  })

  it('whose secret is not set, or whose address is none, get nothing, which is said', () => {
    const warnings: string[] = []
    const targets = [
      { name: 'a', url: 'https://example.invalid/', secretEnv: 'SECRET_A' },
      { name: 'b', url: 'file:///etc/passwd' },
      { name: 'c' },
    ]
    const all = new Webhooks([objective({ alerts: alerts(targets) })], { warn: (w) => warnings.push(w) }, {})
    all.send(event())
    expect(all.counts).toEqual([])
    expect(warnings).toEqual([
      "webhook 'a': the environment variable SECRET_A is not set, so nothing is sent to it",
      "webhook 'b': only http and https addresses are posted to",
    ])
  })
})

it('retries are further and further apart, bounded, jittered, and never sooner than asked', () => {
  const most = (attempt: number): number => retryDelay(attempt, undefined, () => 1)
  expect([2, 3, 4, 5].map(most)).toEqual([1000, 2000, 4000, 8000])
  expect(most(50)).toBe(300_000)
  expect(retryDelay(5, undefined, () => 0.5)).toBe(4000)
  expect(retryDelay(2, 30_000, () => 1)).toBe(30_000)
  expect(retryDelay(2, 1e12, () => 1)).toBe(3_600_000)
})

it.each([
  ['120', 120_000],
  ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
  ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
  ['soon', undefined],
  [undefined, undefined],
])('Retry-After: %s asks for %s ms', (header, ms) => {
  expect(retryAfter(header, Date.UTC(2026, 0, 1))).toBe(ms)
})

it('an answer of 408, 429 or 5xx may be another one later', () => {
  expect([200, 301, 400, 404, 408, 410, 429, 500, 503].filter(mayPass)).toEqual([408, 429, 500, 503])
})
