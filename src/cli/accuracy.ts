import type { Command } from 'commander'
import { interval, percentPoints, percentText } from '../optimize/numbers.js'
import type { AccuracyFigures } from '../optimize/types.js'
import type { LoadOptions } from '../runtime/types.js'
import type { Context } from './context.js'
import { wholeNumber } from './option-values.js'
import { table, toJsonText } from './report.js'

interface Flags {
  data: string
  against?: string
  engine?: NonNullable<LoadOptions['engine']>
  modelVersion?: string
  limit?: number
  json?: boolean
}

/** `subten accuracy`: how often a model is right on data it has not seen, and how it differs from another. */
export function addAccuracy(program: Command, context: Context): void {
  program
    .command('accuracy')
    .description('accuracy on held-out data with 95 % intervals, and the difference to another model row by row')
    .argument('<model>', 'a model directory or a model file')
    .requiredOption('--data <file>', 'an .npz with the inputs and `labels`, or a folder of pictures')
    .option('--against <model>', 'the model to compare with; data may then be without labels')
    .option('--engine <name>', "another engine than the model's own")
    .option('--model-version <version>', 'another version than the default')
    .option('--limit <rows>', 'the first rows only', wholeNumber(1, 2 ** 31))
    .option('--json', 'print JSON')
    .action(async (path: string, flags: Flags) => {
      const { measureAccuracy } = await import('../optimize/accuracy.js')
      const { openDataset } = await import('../data/dataset.js')
      const model = await context.load(path, {
        version: flags.modelVersion,
        ...(flags.engine === undefined ? {} : { engine: flags.engine }),
      })
      try {
        const against = flags.against === undefined ? undefined : await context.load(flags.against, {})
        try {
          const data = await openDataset(flags.data, model, flags.limit === undefined ? {} : { limit: flags.limit })
          const figures = await measureAccuracy(model, data, {
            ...(against === undefined ? {} : { against }),
            onProgress: (done, of) => context.progress?.(`${done} of ${of} rows`),
          })
          context.progress?.('')
          const { path: file, sha256 } = data
          context.out(flags.json ? toJsonText({ ...figures, data: { path: file, sha256 } }) : accuracyText(figures))
        } finally {
          await against?.close()
        }
      } finally {
        context.progress?.('')
        await model.close()
      }
    })
}

function accuracyText({ model, rows, classes, top1, top5, against }: AccuracyFigures): string {
  const lines: (string | number)[][] = []
  if (top1) lines.push(['top-1', percentText(top1.value), interval(top1, percentText)])
  if (top5) lines.push(['top-5', percentText(top5.value), interval(top5, percentText)])
  if (against) {
    const { agreement, difference, onlyThis = 0, onlyOther = 0, pValue, outputs } = against
    if (agreement)
      lines.push([`same top class as ${against.model}`, percentText(agreement.value), interval(agreement, percentText)])
    if (difference) {
      lines.push([
        `top-1 less that of ${against.model}`,
        percentPoints(difference.value),
        interval(difference, percentPoints),
      ])
      lines.push([
        'rows only this one has right',
        onlyThis,
        `${onlyOther} only the other; McNemar p = ${(pValue ?? 1).toPrecision(2)}`,
      ])
    }
    lines.push([
      'outputs apart at most',
      outputs.maxAbs.toPrecision(4),
      `${outputs.meanAbs.toPrecision(4)} on average, cosine ${outputs.cosine.toFixed(6)}`,
    ])
  }
  const head = [`${model}, ${rows} rows${classes === undefined ? '' : `, ${classes} classes`}`, '', '95 % interval']
  return table(head, lines)
}
