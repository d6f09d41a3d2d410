// Stand-ins for what the function uses of CoreGraphics and CoreML.

struct CGRect {
    let x: Int, y: Int, width: Int, height: Int
}

struct CGColorSpace {
    static let sRGB = "sRGB"
    init?(name: String) {}
}

enum CGImageAlphaInfo: UInt32 {
    case noneSkipLast = 5
}

final class CGImage {
    let width: Int, height: Int, bytes: [UInt8]

    init(width: Int, height: Int, bytes: [UInt8]) {
        (self.width, self.height, self.bytes) = (width, height, bytes)
    }
}

final class CGContext {
    let width: Int, height: Int
    let data: UnsafeMutableRawPointer?

    init?(
        data: UnsafeMutableRawPointer?, width: Int, height: Int, bitsPerComponent: Int, bytesPerRow: Int,
        space: CGColorSpace, bitmapInfo: UInt32
    ) {
        precondition(data == nil && bitsPerComponent == 8 && bytesPerRow == 4 * width)
        (self.width, self.height) = (width, height)
        self.data = .allocate(byteCount: 4 * width * height, alignment: 16)
    }

    func draw(_ image: CGImage, in place: CGRect) {
        precondition(place.x == 0 && place.y == 0 && place.width == image.width && place.height == image.height)
        data!.copyMemory(from: image.bytes, byteCount: image.bytes.count)
    }

    func makeImage() -> CGImage? {
        let bytes = UnsafeRawBufferPointer(start: data!, count: 4 * width * height)
        return CGImage(width: width, height: height, bytes: Array(bytes))
    }
}

protocol MLShapedArrayScalar {}
extension Float: MLShapedArrayScalar {}

struct MLShapedArray<Scalar: MLShapedArrayScalar> {
    let scalars: [Scalar], shape: [Int]

    init<S: Sequence>(scalars: S, shape: [Int]) where S.Element == Scalar {
        (self.scalars, self.shape) = (Array(scalars), shape)
        precondition(self.scalars.count == shape.reduce(1, *))
    }
}

final class MLFeatureValue {
    private let array: Any

    init<Scalar>(shapedArray: MLShapedArray<Scalar>) {
        array = shapedArray
    }

    func shapedArrayValue<Scalar>(of type: Scalar.Type) -> MLShapedArray<Scalar>? {
        array as? MLShapedArray<Scalar>
    }
}

protocol MLFeatureProvider {
    func featureValue(for featureName: String) -> MLFeatureValue?
}

final class MLDictionaryFeatureProvider: MLFeatureProvider {
    private let dictionary: [String: Any]

    init(dictionary: [String: Any]) throws {
        self.dictionary = dictionary
    }

    func featureValue(for featureName: String) -> MLFeatureValue? {
        dictionary[featureName] as? MLFeatureValue
    }
}

/// A network that negates its input and makes it greater by a quarter.
final class MLModel {
    var seen: MLShapedArray<Float>?

    func prediction(from input: any MLFeatureProvider) throws -> any MLFeatureProvider {
        seen = input.featureValue(for: "image")!.shapedArrayValue(of: Float.self)!
        let made = MLShapedArray<Float>(scalars: seen!.scalars.map { -1.25 * $0 }, shape: seen!.shape)
        return try MLDictionaryFeatureProvider(dictionary: ["image_out": MLFeatureValue(shapedArray: made)])
    }
}
