package ai.onnxruntime;

import java.nio.FloatBuffer;

public class OnnxTensor implements OnnxValue, AutoCloseable {
    final float[] values;
    final long[] shape;

    OnnxTensor(float[] values, long[] shape) {
        this.values = values;
        this.shape = shape;
    }

    public static OnnxTensor createTensor(OrtEnvironment env, FloatBuffer data, long[] shape) throws OrtException {
        float[] values = new float[data.remaining()];
        data.get(values);
        return new OnnxTensor(values, shape);
    }

    public FloatBuffer getFloatBuffer() {
        return FloatBuffer.wrap(values.clone());
    }

    @Override
    public void close() {}
}
