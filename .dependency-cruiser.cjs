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
      to: { path: '^src/', pathNot: '^src/(runtime|flight)/' },
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
      to: { path: '^src/', pathNot: '^src/(load|repository|runtime|flight)/' },
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
      from: { path: '^src/(runtime|flight|repository|load|index\\.ts|testing\\.ts)' },
      to: { path: 'node_modules/(fastify|sharp|prom-client|commander)/' },
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
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'], pathNot: 'node_modules/@types/' },
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
