// A registry for the packages of build/packages, as they will be on npm; other packages come from where npm looks.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { root } from '../e2e/consumer.js'

export const folder = join(root, 'build/packages')
export const tarballs = readdirSync(folder).filter((name) => name.endsWith('.tgz'))
export const subten = join(folder, tarballs.find((name) => /^subten-\d/.test(name)) ?? 'subten-is-missing.tgz')

interface Manifest {
  name: string
  version: string
  optionalDependencies?: Record<string, string>
  [field: string]: unknown
}

const manifestIn = (file: string): Manifest =>
  JSON.parse(execFileSync('tar', ['-xzOf', file, 'package/package.json'], { encoding: 'utf8' }))

/** Of subten as it is packed. */
export const published = manifestIn(subten)

/** Serves the scope @subten. An engine for another platform has its description only: nobody may download it. */
export async function serveRegistry(): Promise<{ npmrc: string; asked: string[]; close(): void }> {
  const asked: string[] = []
  const files = new Map(tarballs.map((name) => [name, readFileSync(join(folder, name))]))
  const local = new Map(tarballs.map((name) => [manifestIn(join(folder, name)).name, name]))
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '').slice(1)
    asked.push(path)
    const file = files.get(path)
    if (file) return void response.end(file)
    const version = published.optionalDependencies?.[path]
    if (version === undefined) return void response.writeHead(404).end('{}')
    const name = local.get(path)
    const [, os, cpu] = path.split('-')
    const manifest = name ? manifestIn(join(folder, name)) : { name: path, version, os: [os], cpu: [cpu] }
    const bytes = files.get(name ?? '') ?? Buffer.alloc(0)
    const dist = {
      tarball: `${address}/${name ?? 'elsewhere.tgz'}`,
      integrity: `sha512-${createHash('sha512').update(bytes).digest('base64')}`,
    }
    const versions = { [version]: { ...manifest, dist } }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ name: path, 'dist-tags': { latest: version }, versions }))
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { npmrc: `@subten:registry=${address}/\n`, asked, close: () => server.close() }
}
