package ai.onnxruntime;

public class OrtEnvironment implements AutoCloseable {
    public static OrtEnvironment getEnvironment() {
        return new OrtEnvironment();
    }

    public OrtSession createSession(String modelPath) throws OrtException {
        return new OrtSession();
    }

    @Override
    public void close() {}
}
