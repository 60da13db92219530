import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach } from 'vitest'

const running: Server[] = []
afterEach(async () => {
  for (const server of running.splice(0)) {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
})

/** A server that takes any picture on the classify endpoint and answers as told. */
export async function serverThat(
  answer: (request: IncomingMessage, response: ServerResponse, number: number) => void,
): Promise<{ url: string; protocol: 'classify'; model: string; image: Uint8Array }> {
  let number = 0
  const server = createServer((request, response) => {
    request.resume()
    request.on('end', () => answer(request, response, number++))
  })
  running.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, protocol: 'classify', model: 'any', image: Buffer.from('a picture') }
}
