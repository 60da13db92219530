import type { Command } from 'commander'
import type { Contract } from '../sla/types.js'
import type { Context } from './context.js'
import { toJsonText } from './report.js'
import { addSlaLive } from './sla-live.js'

/** `subten sla`: what can be done with a contract. Its readers are loaded on use, since they compile a schema. */
export function addSla(program: Command, context: Context): void {
  const sla = program.command('sla').description('SLA contracts: promises about models, measured')
  const contract = ['<file>', 'the contract, a YAML file in the form of OpenSLO v1'] as const

  sla
    .command('validate')
    .description('check a contract; exit code 1 and every mistake with its line when it has any')
    .argument(...contract)
    .option('--json', 'print the contract as JSON')
    .action(async (file: string, options: { json?: boolean }) => {
      const read = await readContract(file)
      context.out(options.json ? toJsonText(read) : summary(read))
    })

  sla
    .command('show')
    .description('say in words what a contract promises')
    .argument(...contract)
    .action(async (file: string) => {
      const { contractInWords } = await import('../sla/contract-words.js')
      context.out(contractInWords(await readContract(file)))
    })

  sla
    .command('rules')
    .description('print recording and alerting rules for Prometheus')
    .argument(...contract)
    .action(async (file: string) => {
      const { prometheusRules } = await import('../sla/rules.js')
      context.out(prometheusRules(await readContract(file)).trimEnd())
    })

  sla
    .command('schema')
    .description('print the JSON Schema of contracts')
    .action(async () => {
      const { contractSchema } = await import('../sla/contract-schema.js')
      context.out(toJsonText(contractSchema))
    })

  addSlaLive(sla, context)
}

async function readContract(file: string): Promise<Contract> {
  const { readContract } = await import('../sla/contract.js')
  return readContract(file)
}

function summary({ file, objectives, services }: Contract): string {
  const models = new Set(objectives.map(({ indicator }) => indicator.model))
  const count = (n: number, word: string): string => `${n} ${word}${n === 1 ? '' : 's'}`
  return `${file}: ${count(objectives.length, 'objective')} of ${count(services.length, 'service')} about ${count(models.size, 'model')}`
}
