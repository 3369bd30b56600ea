// The minimum of any wrapper in Node: start the game, pass SIGTERM on, exit with its status.
const { spawn } = require('node:child_process');

const [command, ...args] = process.argv.slice(2);
const game = spawn(command, args, { stdio: 'inherit', detached: true });
process.on('SIGTERM', () => game.kill('SIGTERM'));
game.once('exit', (code) => process.exit(code ?? 143));
