package ai.onnxruntime;

import java.util.Arrays;
import java.util.Map;

/** A network that negates its input and makes it greater by a quarter. */
public class OrtSession implements AutoCloseable {
    public static long[] shape;
    public static float[] values;

    public Result run(Map<String, ? extends OnnxTensor> inputs) throws OrtException {
        OnnxTensor image = inputs.get("image");
        if (image == null || inputs.size() != 1) throw new OrtException("inputs " + inputs.keySet());
        if (Arrays.stream(image.shape).reduce(1, (a, b) -> a * b) != image.values.length) throw new OrtException("shape");
        shape = image.shape;
        values = image.values.clone();
        float[] made = new float[values.length];
        for (int k = 0; k < made.length; k++) made[k] = -1.25f * values[k];
        return new Result(new OnnxTensor(made, shape));
    }

    @Override
    public void close() throws OrtException {}

    public static class Result implements AutoCloseable {
        private final OnnxValue only;

        Result(OnnxValue only) {
            this.only = only;
        }

        public OnnxValue get(int index) {
            return index == 0 ? only : null;
        }

        @Override
        public void close() {}
    }
}
