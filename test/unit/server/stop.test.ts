import { expect, it } from 'vitest'
import { echoModel, get, post, serving, vector } from './running-server.js'

const body = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] }

it('a stop finishes what is in flight, takes nothing new, and closes the models', async () => {
  const model = echoModel(vector, { latencyMs: 300 })
  const { url, server } = await serving([model])
  const answer = post(`${url}/v2/models/echo/infer`, body)
  while (model.stats().requests.inFlight === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  const stopped = server.stop()
  await new Promise((resolve) => setTimeout(resolve, 20))
  await expect(get(`${url}/v2/health/live`)).rejects.toThrow()
  expect(model.closed).toBe(false)
  expect((await answer).status).toBe(200)
  expect(await stopped).toBe(true)
  expect(model.closed).toBe(true)
})

it('a stop does not wait longer than its limit', async () => {
  const model = echoModel(vector, { latencyMs: 1500 })
  const { url, server } = await serving([model], { stopTimeoutMs: 100 })
  const answer = post(`${url}/v2/models/echo/infer`, body).catch(() => 'cut off')
  while (model.stats().requests.inFlight === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  const started = Date.now()
  expect(await server.stop()).toBe(false)
  expect(await answer).toBe('cut off')
  expect(Date.now() - started).toBeLessThan(1200)
})

it('an idle keep-alive connection does not hold a stop up', async () => {
  const { url, server } = await serving([echoModel(vector)])
  await get(`${url}/v2/health/live`)
  const started = Date.now()
  expect(await server.stop()).toBe(true)
  expect(Date.now() - started).toBeLessThan(1000)
})

it('the page and its files come with a strict policy, and nothing beside them is served', async () => {
  const { url } = await serving([echoModel(vector)])
  for (const path of ['/', '/page.js', '/page.css', '/icon.svg']) {
    const response = await fetch(url + path)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
    const text = await response.text()
    expect(text).not.toMatch(/(?:src|href|url\()\s*=?\s*["']?https?:/)
  }
  for (const path of ['/../server.ts', '/page/index.html', '/%2e%2e/package.json', '/page.js.map']) {
    expect((await fetch(url + path)).status).toBe(404)
  }
})
