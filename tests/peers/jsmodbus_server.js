// A Modbus server that is not ours: jsmodbus.
// node jsmodbus_server.js tcp|DEVICE FUNCTION ADDRESS WORD…
// Serves the words (hex) as holding (3) or input (4) registers from ADDRESS on (others are 0), and
// coils. It answers to any unit number. Prints where it serves.
const net = require("net");
const { SerialPort } = require("serialport");
const modbus = require("jsmodbus");

const [where, kind, start, ...texts] = process.argv.slice(2);
const registers = Buffer.alloc(2 * 65536);
texts.forEach((text, place) => {
    registers.writeUInt16BE(parseInt(text, 16), 2 * (Number(start) + place));
});
const none = Buffer.alloc(0);
const options = {
    coils: Buffer.alloc(8),
    discrete: none,
    holding: kind === "3" ? registers : none,
    input: kind === "4" ? registers : none,
};

if (where === "tcp") {
    const server = net.createServer();
    new modbus.server.TCP(server, options);
    server.listen(0, "127.0.0.1", () => console.log(server.address().port));
} else {
    const port = new SerialPort({ path: where, baudRate: 9600 });
    port.on("open", () => {
        new modbus.server.RTU(port, options);
        console.log(where);
    });
}
