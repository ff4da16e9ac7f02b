// node-mbus (libmbus) as a master: node mbus_master.js PORT TIMEOUT_MS STEP…
// A step is get:ADDRESS, scan, or set:OLD:NEW; prints one JSON array with what each step gave.
'use strict';

const MbusMaster = require('node-mbus');

async function step(master, text) {
    const [verb, ...operands] = text.split(':');
    try {
        if (verb === 'get') return await master.getDataAsync(operands[0]);
        if (verb === 'scan') return await master.scanSecondaryAsync();
        if (verb === 'set') {
            await master.setPrimaryIdAsync(operands[0], Number(operands[1]));
            return 'set';
        }
        throw new Error(`unknown step ${text}`);
    } catch (error) {
        return { error: String(error) };
    }
}

async function main([port, timeout, ...steps]) {
    const options = { host: '127.0.0.1', port: Number(port), timeout: Number(timeout) };
    const master = new MbusMaster(options);
    await master.connectAsync();
    const results = [];
    for (const text of steps) results.push(await step(master, text));
    await master.closeAsync();
    console.log(JSON.stringify(results));
}

main(process.argv.slice(2)).catch((error) => {
    console.error(error);
    process.exit(1);
});
