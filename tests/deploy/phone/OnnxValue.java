package ai.onnxruntime;

public interface OnnxValue {}
