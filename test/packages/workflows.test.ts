// What can be known of the workflows without running them: they name scripts, files and jobs that exist.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { manifest, root } from '../e2e/consumer.js'

interface Job {
  needs?: string
  uses?: string
  'timeout-minutes'?: number
  permissions?: Record<string, string>
  steps?: { uses?: string; run?: string; with?: Record<string, string> }[]
}
interface Workflow {
  permissions: Record<string, string>
  jobs: Record<string, Job>
}
const workflow = (name: string): Workflow =>
  parse(readFileSync(join(root, '.github/workflows', `${name}.yml`), 'utf8')) as Workflow
const steps = (name: string) => Object.values(workflow(name).jobs).flatMap((job) => job.steps ?? [])

describe.each(['ci', 'release'])('%s.yml', (name) => {
  const { jobs, permissions } = workflow(name)

  it('may read by default, and no more', () => {
    expect(permissions).toEqual({ contents: 'read' })
  })

  it('names jobs, scripts and files that exist, and actions with a version', () => {
    for (const job of Object.values(jobs)) {
      if (job.needs) expect(jobs).toHaveProperty(job.needs)
      if (job.uses) expect(existsSync(join(root, job.uses)), job.uses).toBe(true)
      else expect(job['timeout-minutes']).toBeGreaterThan(0)
    }
    for (const { uses, run = '' } of steps(name)) {
      if (uses) expect(uses).toMatch(/^actions\/[\w-]+@v\d+$/)
      for (const [, script] of run.matchAll(/npm run ([\w:-]+)/g))
        expect(manifest.scripts).toHaveProperty(script as string)
      for (const [file] of run.matchAll(/test\/[\w/-]+\.(sh|mjs)/g))
        expect(existsSync(join(root, file)), file).toBe(true)
    }
  })

  it('downloads what was uploaded', () => {
    const named = (action: string, workflowName: string) =>
      steps(workflowName)
        .filter(({ uses }) => uses?.startsWith(action))
        .map((step) => step.with?.name)
    const uploaded = named('actions/upload-artifact', 'ci')
    for (const artifact of named('actions/download-artifact', name)) expect(uploaded).toContain(artifact)
  })
})

it('publishing has provenance, and the rights for it and no token', () => {
  const { publish } = workflow('release').jobs
  expect(publish?.permissions).toMatchObject({ 'id-token': 'write' })
  const commands = steps('release').map(({ run = '' }) => run)
  expect(commands.filter((run) => /npm publish .*--provenance --access public/.test(run))).toHaveLength(1)
  expect(readFileSync(join(root, '.github/workflows/release.yml'), 'utf8')).not.toMatch(/NPM_TOKEN|NODE_AUTH_TOKEN/)
})
