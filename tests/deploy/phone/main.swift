let given = readLine()!.split(separator: " ").map { Int($0)! }
let bytes = given[2...].map { UInt8($0) }
let model = MLModel()
let picture = try translate(CGImage(width: given[0], height: given[1], bytes: bytes), by: model)
print(model.seen!.shape.map(String.init).joined(separator: " "))
print(model.seen!.scalars.map { "\($0)" }.joined(separator: " "))
print(picture.bytes.map(String.init).joined(separator: " "))
