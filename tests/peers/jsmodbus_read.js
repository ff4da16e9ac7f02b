// A Modbus RTU master that is not ours: jsmodbus.
// node jsmodbus_read.js DEVICE UNIT FUNCTION ADDRESS COUNT prints the registers as JSON.
const { SerialPort } = require("serialport");
const modbus = require("jsmodbus");

const [device, unit, kind, address, count] = process.argv.slice(2);
const port = new SerialPort({ path: device, baudRate: 9600 });
const client = new modbus.client.RTU(port, Number(unit), 10000);
const read = kind === "3" ? "readHoldingRegisters" : "readInputRegisters";

port.on("open", async () => {
    try {
        const { response } = await client[read](Number(address), Number(count));
        console.log(JSON.stringify(response.body.valuesAsArray));
    } catch (error) {
        console.log(JSON.stringify(error.response ? error.response.body.code : String(error.err)));
    }
    port.close();
});
