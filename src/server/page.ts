import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { FastifyInstance } from 'fastify'

const FILES = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/page.js': ['page.js', 'text/javascript; charset=utf-8'],
  '/page.css': ['page.css', 'text/css; charset=utf-8'],
  '/icon.svg': ['icon.svg', 'image/svg+xml'],
} as const

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** `GET /`: the page on which a digit can be drawn. Its few files are read once, and nothing else is served. */
export async function page(app: FastifyInstance): Promise<void> {
  const folder = pageFolder()
  for (const [path, [file, type]] of Object.entries(FILES)) {
    const content = await readFile(new URL(file, folder))
    app.get(path, async (_request, reply) =>
      reply
        .header('content-security-policy', POLICY)
        .header('referrer-policy', 'no-referrer')
        .header('cache-control', 'no-cache')
        .type(type)
        .send(content),
    )
  }
}

/** dist/page beside the bundle, or page/ beside this file when the sources run. */
function pageFolder(): URL {
  const folder = new URL('./page/', import.meta.url)
  if (existsSync(folder)) return folder
  throw new Error('the files of the page are missing beside the server; build again')
}
