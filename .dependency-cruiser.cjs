// The direction of TypeScript imports: front ends -> load -> repository -> runtime -> binding.
/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'runtime-is-the-bottom',
      comment:
        'The runtime, and the explanations of its slow requests, know nothing of repositories, servers and command lines.',
      severity: 'error',
      from: { path: '^src/(runtime|flight)/' },
      // The types of what models tell of their contract are not theirs; pictures are loaded when one is classified.
      to: { path: '^src/', pathNot: '^src/(runtime/|flight/|sla/types\\.ts$|image/classify\\.ts$)' },
    },
    {
      name: 'pictures-loaded-when-classified',
      comment: "import 'subten' must not pay for an image decoder: `classify` imports what decodes when it is called.",
      severity: 'error',
      from: { path: '^src/(runtime|flight|repository|load|sla|index\\.ts|testing\\.ts)' },
      to: { path: '^src/(image|data)/', dependencyTypesNot: ['dynamic-import', 'type-only', 'type-import'] },
    },
    {
      name: 'pictures-and-data-below-front-ends',
      severity: 'error',
      from: { path: '^src/(image|data)/' },
      to: { path: '^src/', pathNot: '^src/(image|data|runtime)/' },
    },
    {
      name: 'quantising-below-the-command-line',
      comment: 'Variants are made of files: whoever asks for one gives what loads models.',
      severity: 'error',
      from: { path: '^src/quantize/' },
      to: { path: '^src/', pathNot: '^src/(quantize|data|profile|repository|runtime)/' },
    },
    {
      name: 'repository-below-front-ends',
      severity: 'error',
      from: { path: '^src/repository/' },
      to: { path: '^src/', pathNot: '^src/(repository|runtime|flight)/' },
    },
    {
      name: 'load-below-front-ends',
      severity: 'error',
      from: { path: '^src/load/' },
      to: { path: '^src/', pathNot: '^src/(load|sla|repository|runtime|flight)/' },
    },
    {
      name: 'sla-below-front-ends',
      comment:
        'Contracts and what is measured against them know nothing of servers, command lines and how a model is loaded.',
      severity: 'error',
      from: { path: '^src/sla/' },
      to: { path: '^src/', pathNot: '^src/(sla|profile|flight|repository|runtime)/' },
    },
    {
      name: 'profile-below-front-ends',
      comment:
        'The load generator is part of the library and of a worker thread: it loads no model and starts no server.',
      severity: 'error',
      from: { path: '^src/profile/' },
      to: { path: '^src/', pathNot: '^src/(profile|runtime)/' },
    },
    {
      name: 'reports-and-comparisons-below-front-ends',
      comment: 'A report is a function from figures to text: it loads no model and no server.',
      severity: 'error',
      from: { path: '^src/report/' },
      to: { path: '^src/', pathNot: '^src/(report|profile|sla|flight|runtime|optimize/(types|capacity)\\.ts$)' },
    },
    {
      name: 'optimize-below-front-ends',
      comment: 'The search loads models and data and measures them; how it is called and shown is not its own.',
      severity: 'error',
      from: { path: '^src/optimize/' },
      to: { path: '^src/', pathNot: '^src/(optimize|data|profile|sla|load|repository|runtime)/' },
    },
    {
      name: 'nobody-imports-the-command-line',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/cli/' },
      to: { path: '^src/cli/' },
    },
    {
      name: 'only-the-command-line-starts-the-server',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(server|cli)/' },
      to: { path: '^src/server/' },
    },
    {
      name: 'library-loads-no-server',
      comment: "import 'subten' must not pay for a web server, an image decoder or a command-line parser.",
      severity: 'error',
      from: { path: '^src/(runtime|flight|repository|load|sla|index\\.ts|testing\\.ts)' },
      to: { path: 'node_modules/(fastify|sharp|prom-client|commander)/' },
    },
    {
      name: 'http-client-in-the-generator-thread-only',
      comment:
        "import 'subten' must not pay for an HTTP client: the generator's thread loads it where it sends over HTTP.",
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(profile/http-caller|sla/)' },
      to: { path: 'node_modules/undici/' },
    },
    {
      name: 'native-loaded-in-the-runtime-only',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/runtime/' },
      to: { path: 'node_modules/node-gyp-build/' },
    },
    {
      name: 'no-tests-in-sources',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|examples|scripts)/' },
    },
    {
      name: 'no-dev-dependencies-in-sources',
      severity: 'error',
      from: { path: '^src/' },
      // uPlot is put into reports at build time: nothing of it is loaded at run time.
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'], pathNot: 'node_modules/(@types|uplot)/' },
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
}
