import { statSync } from 'node:fs'
import { wholeFile } from '../repository/whole-file.js'
import { SubtenError } from '../runtime/errors.js'
import { readCondition, readPolicy, readTarget } from './contract-alerts.js'
import { checkRatio, checkThreshold } from './contract-indicator.js'
import { maintenanceOf } from './contract-maintenance.js'
import { annotation, ContractObjects } from './contract-objects.js'
import { ContractProblems } from './contract-problems.js'
import { checkEnforced, objectivesOf } from './contract-slo.js'
import { MAX_BYTES, readYaml } from './contract-yaml.js'
import type { Contract } from './types.js'

/**
 * Reads an SLA contract: a YAML file in the form of OpenSLO v1 (docs/sla.md).
 *
 * @throws {SubtenError} CONFIG_INVALID with everything that is wrong: `details` has `file`, `line` and `field` of the
 *   first problem and all of them in `problems`. NOT_SUPPORTED, in the same form, when the contract is right by OpenSLO
 *   but asks for what subten does not measure.
 */
export async function readContract(path: string): Promise<Contract> {
  return parseContract(contractText(path), path)
}

/**
 * Reads the text of a contract.
 *
 * @param file its name, for messages
 * @throws {SubtenError} as {@link readContract}
 */
export function parseContract(text: string, file: string): Contract {
  const problems = new ContractProblems(file)
  const sources = readYaml(text, problems)
  const objects = new ContractObjects(sources, problems)
  const services = objects.all('Service').map((service) => ({
    name: service.metadata.name,
    description: service.spec.description ?? service.metadata.displayName ?? '',
    owner: annotation(service, 'owner') ?? '',
  }))
  const maintenance = objects.all('Service').flatMap((service) => maintenanceOf(service, objects))
  // What no SLO refers to is checked as well.
  for (const sli of objects.all('SLI')) {
    if (sli.spec.thresholdMetric === undefined) checkRatio(sli, objects)
    else checkThreshold(sli, objects)
  }
  for (const target of objects.all('AlertNotificationTarget')) readTarget(target, objects)
  for (const condition of objects.all('AlertCondition')) readCondition(condition, objects)
  for (const policy of objects.all('AlertPolicy')) readPolicy(policy, objects)
  const slos = objects.all('SLO').map((slo) => [slo, objectivesOf(slo, objects, file)] as const)
  checkEnforced(slos, objects)
  const objectives = slos.flatMap(([, found]) => found)
  const names = new Set<string>()
  for (const [slo, found] of slos) {
    for (const { name } of found) {
      if (!names.has(name)) names.add(name)
      else
        objects.invalid(slo, ['spec', 'objectives'], `there is another objective "${name}"`, 'Give each a displayName.')
    }
  }
  if (problems.count === 0 && objectives.length === 0) {
    const fix = 'Add a document of kind SLO; docs/sla.md has an example.'
    problems.add({ line: 1, column: 1 }, [], 'there is no SLO, so that nothing is promised', fix)
  }
  problems.throwIfAny()
  return { file, services: allServices(services, objectives), objectives, maintenance }
}

/** With the services that SLOs name where no document describes any. */
function allServices(described: Contract['services'], objectives: Contract['objectives']): Contract['services'] {
  if (described.length > 0) return described
  return [...new Set(objectives.map(({ service }) => service))].map((name) => ({ name, description: '', owner: '' }))
}

function contractText(file: string): string {
  const problem = (message: string, remedy: string, cause?: unknown): SubtenError =>
    new SubtenError('CONFIG_INVALID', `${file}: ${message}`, { remedy, cause, details: { file } })
  let bytes: Buffer
  try {
    const facts = statSync(file)
    if (!facts.isFile()) throw problem('is not a file', 'Name the YAML file of the contract.')
    if (facts.size > MAX_BYTES) {
      throw problem(`a contract of more than ${MAX_BYTES / 1024} KiB is not read`, 'Split it into several files.')
    }
    bytes = wholeFile(file)
  } catch (error) {
    if (error instanceof SubtenError) throw error
    const code = (error as NodeJS.ErrnoException).code ?? String(error)
    throw problem(`cannot be read (${code})`, 'Check the path and its permissions.', error)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw problem('is not UTF-8 text', 'Save the file as UTF-8.', error)
  }
}
