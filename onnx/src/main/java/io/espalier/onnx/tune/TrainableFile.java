package io.espalier.onnx.tune;

import io.espalier.onnx.model.OnnxModel;

/** A file whose weights are trained on libtorch, in floats. */
sealed interface TrainableFile permits TrainableFile.Floats, IntegerFile {
    /** What libtorch runs. */
    OnnxModel lowerable();

    /** Says which of the parameters train, and what they pass through. */
    void prepare(TrainableWeights weights);

    /** The file with the weights as they are now. */
    OnnxModel with(TrainableWeights weights);

    /** A file that computes in floats. */
    record Floats(OnnxModel model) implements TrainableFile {
        @Override
        public OnnxModel lowerable() {
            return model;
        }

        @Override
        public void prepare(TrainableWeights weights) {
            weights.keepZeros();
        }

        @Override
        public OnnxModel with(TrainableWeights weights) {
            return weights.writtenTo(model);
        }
    }
}
