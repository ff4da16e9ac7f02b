// A Modbus server that is not ours: modbus-serial.
// node modbus_serial_server.js tcp|DEVICE FUNCTION ADDRESS WORD…
// Serves the words (hex) as holding (3) or input (4) registers from ADDRESS on and eight coils from
// 0 on, to unit 1, with an identification; all else is refused. Prints where it serves.
const net = require("net");
const modbus = require("modbus-serial");

const [where, kind, start, ...texts] = process.argv.slice(2);
const words = new Map(texts.map((text, place) => [Number(start) + place, parseInt(text, 16)]));
const coils = new Array(8).fill(false);

function refuse(code) {
    throw { modbusErrorCode: code };
}

function read(wanted, address) {
    if (kind !== wanted || !words.has(address)) refuse(2);
    return words.get(address);
}

const vector = {
    getHoldingRegister: address => read("3", address),
    getInputRegister: address => read("4", address),
    getCoil: address => (address < coils.length ? coils[address] : refuse(2)),
    setCoil: (address, value) => {
        if (address >= coils.length) refuse(2);
        coils[address] = value;
    },
    setRegister: (address, value) => {
        read("3", address);
        words.set(address, value);
    },
    readDeviceIdentification: () => ({
        0x00: "modbus-serial",
        0x01: "peer",
        0x02: "8",
        0x05: "a server of somebody else",
    }),
};

if (where === "tcp") {
    // Port 0 would be 502 to it.
    const free = net.createServer().listen(0, "127.0.0.1", () => {
        const port = free.address().port;
        free.close(() => {
            const server = new modbus.ServerTCP(vector, { host: "127.0.0.1", port, unitID: 1 });
            server.on("initialized", () => console.log(port));
        });
    });
} else {
    const server = new modbus.ServerSerial(vector, { port: where, baudRate: 9600, unitID: 1 });
    server.on("initialized", () => console.log(where));
}
