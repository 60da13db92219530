// The report of bench:gpu as tables.
const us = (value) => (value === undefined ? '' : `${(value / 1000).toFixed(value < 10_000 ? 3 : 1)}`)
const row = (...cells) => `| ${cells.join(' | ')} |`
const head = (...cells) => [row(...cells), row(...cells.map(() => '---'))]

export function asMarkdown({ card, cpu, node, results, pytorch }) {
  const ran = results.filter(({ infer }) => infer)
  const lines = [
    '# On a GPU',
    '',
    `${card.name}, driver ${card.driver}; host CPU ${cpu}; Node ${node}. Made by \`npm run bench:gpu\`; what was run and how: docs/gpu.md.`,
    '',
    'One request at a time, milliseconds. `infer` goes through the queue and an instance’s thread, `inferSync` runs on the caller’s.',
    '',
    ...head('case', 'infer p50', 'p99', 'p999', 'inferSync p50', 'p99'),
    ...ran.map(({ name, infer, inferSync }) =>
      row(name, us(infer.p50), us(infer.p99), us(infer.p999), us(inferSync?.p50), us(inferSync?.p99)),
    ),
    '',
    'Requests of many rows, one after the other: milliseconds at p50, rows a second.',
    '',
    ...head('case', 'rows', 'p50', 'rows/s'),
    ...ran.flatMap(({ name, batched = [] }) =>
      batched.map(({ rows, infer, rowsPerSecond }) => row(name, rows, us(infer.p50), rowsPerSecond)),
    ),
    '',
    'Open loop (exponential gaps, latency from the moment a request was due), batches of up to 32, two instances, 0.5 ms queue delay.',
    '',
    ...head('case', 'requests/s', 'p50', 'p99', 'p999', 'mean batch', 'failed'),
    ...ran.flatMap(({ name, served, servedZeroCopy }) =>
      [
        ['', served],
        [', zero copy', servedZeroCopy],
      ].flatMap(([suffix, one]) =>
        (one?.steps ?? []).map(({ rate, p50, p99, p999, meanBatch, failed }) =>
          row(name + suffix, rate, us(p50), us(p99), us(p999), Number(meanBatch ?? 0).toFixed(1), failed),
        ),
      ),
    ),
  ]
  if (pytorch?.cases) {
    lines.push(
      '',
      `PyTorch ${pytorch.torch} (CUDA ${pytorch.cuda}, cuDNN ${pytorch.cudnn}) on the same card, the same weights: milliseconds. “With copies” is from pinned memory to pinned memory, one after the other.`,
      '',
      ...head('case', 'rows', 'device p50', 'with copies p50', 'p99', 'p999', 'rows/s'),
      ...pytorch.cases.map(({ name, rows, device, p50, p99, p999 }) =>
        row(name, rows, us(device), us(p50), us(p99), us(p999), Math.round((rows * 1e6) / p50)),
      ),
    )
  }
  const failed = results.filter((each) => each.failed)
  if (failed.length) lines.push('', ...failed.map(({ name, failed: why }) => `- ${name}: failed: ${why}`))
  return `${lines.join('\n')}\n`
}
