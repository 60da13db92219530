// npm run promtool:install: promtool out of Debian's package `prometheus`, in .cache/promtool, for the tests of the rules
// that `subten sla rules` prints. The package itself is not installed: that would start a Prometheus.
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { at, main, run, StepError, say } from './step.mjs'
import { which } from './tools.mjs'

export async function installPromtool() {
  if (!which('apt-get') || !which('dpkg-deb')) {
    throw new StepError('needs apt-get and dpkg-deb; elsewhere put promtool on the PATH or name it in SUBTEN_PROMTOOL')
  }
  const place = at('.cache', 'promtool')
  rmSync(place, { recursive: true, force: true })
  mkdirSync(place, { recursive: true })
  await run('apt-get', ['download', 'prometheus'], { quiet: true, cwd: place })
  const file = readdirSync(place).find((name) => name.endsWith('.deb'))
  if (!file) throw new StepError('apt-get downloaded no package: run `apt-get update` first')
  await run('dpkg-deb', ['-x', file, 'package'], { quiet: true, cwd: place })
  renameSync(join(place, 'package/usr/bin/promtool'), join(place, 'promtool'))
  for (const rest of [file, 'package']) rmSync(join(place, rest), { recursive: true })
  say('promtool is in .cache/promtool')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(installPromtool)
