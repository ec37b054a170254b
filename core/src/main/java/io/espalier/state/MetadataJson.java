package io.espalier.state;

import com.fasterxml.jackson.annotation.Nulls;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Internal;

import org.jspecify.annotations.Nullable;

import tools.jackson.core.JacksonException;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.json.JsonMapper;

/**
 * What a file says of itself as JSON in its metadata. Nobody wrote a null there: one that is found,
 * in a list or a map too, is damage, and so is a broken number where a whole one belongs.
 */
@Internal
public final class MetadataJson {
    private static final JsonMapper MAPPER =
            JsonMapper.builder()
                    .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
                    .changeDefaultNullHandling(all -> all.withContentNulls(Nulls.FAIL))
                    .build();

    private MetadataJson() {}

    /** A value as JSON. */
    public static String write(Object value) {
        return MAPPER.writeValueAsString(value);
    }

    /**
     * The value that JSON stands for.
     *
     * @throws EspalierException if it is no JSON, is null, or does not fit the type; the message is
     *     a reason that follows a place
     */
    public static <T> T read(String json, TypeReference<T> type) {
        @Nullable T value;
        try {
            value = MAPPER.readValue(json, type);
        } catch (JacksonException e) {
            throw new EspalierException("it can't be read", e);
        }
        if (value == null) {
            throw new EspalierException("it is null");
        }
        return value;
    }
}
