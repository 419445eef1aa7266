// The HTTP interface of ClickHouse, as far as the tests need it, in front of chDB. Queries come one after the other.
//
//   POST /?additional_table_filters=...   a query in the body; the setting is one of the session, as a profile has it
const http = require("http");
const path = require("path");
const { Session } = require(path.join(process.env.CHDB_MODULES, "node_modules", "chdb"));

const session = new Session(process.env.CHDB_DATA);

function answer(query, filters) {
  session.query(`SET additional_table_filters = ${filters || "{}"}`);
  try {
    return [200, session.query(query, "JSON")];
  } catch (e) {
    return [500, String(e.message)];
  }
}

http
  .createServer((request, response) => {
    const filters = new URL(request.url, "http://localhost").searchParams.get("additional_table_filters");
    let query = "";
    request.setEncoding("utf8");
    request.on("data", (part) => (query += part));
    request.on("end", () => {
      const [status, body] = query ? answer(query, filters) : [200, "Ok.\n"];
      response.writeHead(status, { "Content-Type": status === 200 ? "application/json" : "text/plain" });
      response.end(body);
    });
  })
  .listen(Number(process.env.CHDB_PORT), "127.0.0.1");
