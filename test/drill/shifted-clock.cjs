'use strict';
// Loaded before the agent in a drill: SIGUSR2 moves its wall clock by what the file says, as a step of NTP would.
const { readFileSync } = require('node:fs');

const real = Date.now;
let shiftMs = 0;
Date.now = () => real() + shiftMs;
process.on('SIGUSR2', () => {
  shiftMs += Number(readFileSync(process.env.DRILL_CLOCK_FILE, 'utf8'));
});
